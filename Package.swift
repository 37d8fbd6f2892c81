// swift-tools-version: 6.2
import PackageDescription

// SwiftPM compiles a target again when a module that it names has changed, and no other; yet the optimiser puts code of all
// modules below into it. So targets and products name everything that they build on, not just what they import: otherwise an
// incremental build could keep code that knows a type by its former layout.
let formats = ["TrestleFormats", "TrestleTensor"]
let networks = ["TrestleNN"] + formats
let text = ["TrestleText"] + formats
let languageModels = ["TrestleLanguageModels", "TrestleText"] + networks
let recommenders = ["TrestleRecommenders", "TrestleText"] + networks
let bridges = ["TrestleBridges", "TrestleRecommenders"] + languageModels
let trestle = ["Trestle"] + bridges
let testSupport = ["TrestleTestSupport"] + bridges

func naming(_ names: [String]) -> [Target.Dependency] { names.map { .byName(name: $0) } }

let package = Package(
  name: "Trestle",
  // macOS and iOS are declared so that the package resolves there; only Linux is tested so far.
  platforms: [.macOS(.v15), .iOS(.v18)],
  products: [
    .library(name: "Trestle", targets: trestle),
    .library(name: "TrestleTensor", targets: ["TrestleTensor"]),
    .library(name: "TrestleFormats", targets: formats),
    .library(name: "TrestleNN", targets: networks),
    .library(name: "TrestleText", targets: text),
    .library(name: "TrestleLanguageModels", targets: languageModels),
    .library(name: "TrestleRecommenders", targets: recommenders),
    .library(name: "TrestleBridges", targets: bridges),
    .library(name: "TrestleTestSupport", targets: testSupport),
    .executable(name: "trestle", targets: ["trestle"]),
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
    .target(name: "TrestleNN", dependencies: naming(formats)),
    .target(name: "TrestleText", dependencies: naming(formats)),
    .target(name: "TrestleLanguageModels", dependencies: naming(["TrestleText"] + networks)),
    .target(
      name: "TrestleRecommenders", dependencies: naming(["CTrestleKernels", "TrestleText"] + networks)),
    .target(name: "TrestleBridges", dependencies: naming(["TrestleRecommenders"] + languageModels)),
    .target(name: "Trestle", dependencies: naming(bridges)),
    .target(name: "TrestleTestSupport", dependencies: naming(bridges)),
    .executableTarget(
      name: "hybrid-movies", dependencies: naming(["TrestleCommand"] + trestle),
      path: "Examples/HybridMovies",
      exclude: ["README.md"]),
    .target(name: "TrestleCommand", dependencies: naming(formats)),
    .executableTarget(name: "trestle", dependencies: naming(["TrestleCommand"] + trestle)),
    .executableTarget(
      name: "training-from-scratch", dependencies: naming(["TrestleCommand"] + trestle),
      path: "Examples/TrainingFromScratch", exclude: ["README.md"]),
    .executableTarget(
      name: "text-generation", dependencies: naming(["TrestleCommand"] + trestle),
      path: "Examples/TextGeneration", exclude: ["README.md"]),
    .executableTarget(
      name: "lora-fine-tuning", dependencies: naming(["TrestleCommand"] + trestle),
      path: "Examples/LoRAFineTuning", exclude: ["README.md"]),
    .executableTarget(
      name: "movielens-lightgcn", dependencies: naming(["TrestleCommand"] + trestle),
      path: "Examples/MovieLensLightGCN", exclude: ["README.md"]),
    .executableTarget(
      name: "text-embeddings", dependencies: naming(["TrestleCommand"] + trestle),
      path: "Examples/TextEmbeddings", exclude: ["README.md"]),
    .executableTarget(
      name: "recommender-leaderboard", dependencies: naming(["TrestleCommand"] + trestle),
      path: "Examples/RecommenderLeaderboard", exclude: ["README.md"]),
    .target(
      name: "BenchmarkSupport", dependencies: naming(["CTrestleKernels", "TrestleCommand"] + formats),
      path: "Benchmarks/BenchmarkSupport"),
    .executableTarget(
      name: "kernel-benchmarks", dependencies: naming(["BenchmarkSupport", "TrestleCommand"] + formats),
      path: "Benchmarks/KernelBenchmarks"),
    .executableTarget(
      name: "model-benchmarks", dependencies: naming(["BenchmarkSupport", "TrestleCommand"] + trestle),
      path: "Benchmarks/ModelBenchmarks"),
    .testTarget(
      name: "TrestleTensorTests",
      dependencies: naming(["CTrestleKernels"] + testSupport)),
    .testTarget(name: "TrestleFormatsTests", dependencies: naming(testSupport)),
    .testTarget(name: "TrestleNNTests", dependencies: naming(testSupport)),
    .testTarget(name: "TrestleTextTests", dependencies: naming(testSupport)),
    .testTarget(name: "TrestleLanguageModelsTests", dependencies: naming(testSupport)),
    .testTarget(name: "TrestleRecommendersTests", dependencies: naming(testSupport)),
    .testTarget(name: "TrestleCommandTests", dependencies: naming(["TrestleCommand"] + formats)),
    .testTarget(name: "TrestleBridgesTests", dependencies: naming(["Trestle"] + testSupport)),
  ],
  swiftLanguageModes: [.v6]
)
