// swift-tools-version: 6.2
import PackageDescription

let package = Package(
  name: "Trestle",
  // macOS and iOS are declared so that the package resolves there; only Linux is tested so far.
  platforms: [.macOS(.v15), .iOS(.v18)],
  products: [
    .library(name: "Trestle", targets: ["Trestle"]),
    .library(name: "TrestleTensor", targets: ["TrestleTensor"]),
    .library(name: "TrestleFormats", targets: ["TrestleFormats"]),
    .library(name: "TrestleNN", targets: ["TrestleNN"]),
    .library(name: "TrestleText", targets: ["TrestleText"]),
    .library(name: "TrestleLanguageModels", targets: ["TrestleLanguageModels"]),
    .library(name: "TrestleRecommenders", targets: ["TrestleRecommenders"]),
    .library(name: "TrestleBridges", targets: ["TrestleBridges"]),
    .library(name: "TrestleTestSupport", targets: ["TrestleTestSupport"]),
    .executable(name: "hybrid-movies", targets: ["hybrid-movies"]),
    .executable(name: "training-from-scratch", targets: ["training-from-scratch"]),
    .executable(name: "text-generation", targets: ["text-generation"]),
    .executable(name: "lora-fine-tuning", targets: ["lora-fine-tuning"]),
    .executable(name: "movielens-lightgcn", targets: ["movielens-lightgcn"]),
    .executable(name: "text-embeddings", targets: ["text-embeddings"]),
    .executable(name: "recommender-leaderboard", targets: ["recommender-leaderboard"]),
    .executable(name: "kernel-benchmarks", targets: ["kernel-benchmarks"]),
    .executable(name: "model-benchmarks", targets: ["model-benchmarks"]),
  ],
  targets: [
    .target(name: "CTrestleKernels", exclude: ["bodies"]),
    .target(name: "TrestleTensor", dependencies: ["CTrestleKernels"]),
    .target(name: "TrestleFormats", dependencies: ["TrestleTensor"]),
    .target(name: "TrestleNN", dependencies: ["TrestleFormats", "TrestleTensor"]),
    .target(name: "TrestleText", dependencies: ["TrestleFormats"]),
    .target(
      name: "TrestleLanguageModels",
      dependencies: ["TrestleFormats", "TrestleNN", "TrestleTensor", "TrestleText"]),
    .target(
      name: "TrestleRecommenders", dependencies: ["TrestleFormats", "TrestleNN", "TrestleTensor"]),
    .target(
      name: "TrestleBridges",
      dependencies: [
        "TrestleFormats", "TrestleLanguageModels", "TrestleNN", "TrestleRecommenders",
        "TrestleTensor", "TrestleText",
      ]),
    .target(
      name: "Trestle",
      dependencies: [
        "TrestleBridges", "TrestleFormats", "TrestleLanguageModels", "TrestleNN",
        "TrestleRecommenders", "TrestleTensor", "TrestleText",
      ]),
    .target(
      name: "TrestleTestSupport",
      dependencies: [
        "TrestleBridges", "TrestleLanguageModels", "TrestleNN", "TrestleRecommenders", "TrestleTensor",
      ]),
    .executableTarget(
      name: "hybrid-movies", dependencies: ["CommandLineOptions", "Trestle"], path: "Examples/HybridMovies",
      exclude: ["README.md"]),
    .target(name: "CommandLineOptions", path: "Examples/CommandLineOptions"),
    .executableTarget(
      name: "training-from-scratch", dependencies: ["CommandLineOptions", "Trestle"],
      path: "Examples/TrainingFromScratch", exclude: ["README.md"]),
    .executableTarget(
      name: "text-generation", dependencies: ["CommandLineOptions", "Trestle"],
      path: "Examples/TextGeneration", exclude: ["README.md"]),
    .executableTarget(
      name: "lora-fine-tuning", dependencies: ["CommandLineOptions", "Trestle"],
      path: "Examples/LoRAFineTuning", exclude: ["README.md"]),
    .executableTarget(
      name: "movielens-lightgcn", dependencies: ["CommandLineOptions", "Trestle"],
      path: "Examples/MovieLensLightGCN", exclude: ["README.md"]),
    .executableTarget(
      name: "text-embeddings", dependencies: ["CommandLineOptions", "Trestle"],
      path: "Examples/TextEmbeddings", exclude: ["README.md"]),
    .executableTarget(
      name: "recommender-leaderboard", dependencies: ["Trestle"],
      path: "Examples/RecommenderLeaderboard", exclude: ["README.md"]),
    .target(
      name: "BenchmarkSupport", dependencies: ["CTrestleKernels", "TrestleTensor"],
      path: "Benchmarks/BenchmarkSupport"),
    .executableTarget(
      name: "kernel-benchmarks", dependencies: ["BenchmarkSupport", "TrestleTensor"],
      path: "Benchmarks/KernelBenchmarks"),
    .executableTarget(
      name: "model-benchmarks", dependencies: ["BenchmarkSupport", "Trestle"],
      path: "Benchmarks/ModelBenchmarks"),
    .testTarget(
      name: "TrestleTensorTests",
      dependencies: ["CTrestleKernels", "TrestleFormats", "TrestleNN", "TrestleTensor", "TrestleTestSupport"]),
    .testTarget(
      name: "TrestleFormatsTests", dependencies: ["TrestleFormats", "TrestleTensor", "TrestleTestSupport"]),
    .testTarget(
      name: "TrestleNNTests",
      dependencies: ["TrestleFormats", "TrestleNN", "TrestleTensor", "TrestleTestSupport"]),
    .testTarget(
      name: "TrestleTextTests", dependencies: ["TrestleFormats", "TrestleText", "TrestleTestSupport"]),
    .testTarget(
      name: "TrestleLanguageModelsTests",
      dependencies: ["TrestleLanguageModels", "TrestleTestSupport"]),
    .testTarget(
      name: "TrestleRecommendersTests",
      dependencies: ["TrestleRecommenders", "TrestleTestSupport"]),
    .testTarget(
      name: "TrestleBridgesTests",
      dependencies: [
        "Trestle", "TrestleBridges", "TrestleRecommenders", "TrestleTensor", "TrestleTestSupport",
      ]),
  ],
  swiftLanguageModes: [.v6]
)
