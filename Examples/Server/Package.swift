// swift-tools-version: 6.2
import PackageDescription

let package = Package(
  name: "Server",
  platforms: [.macOS(.v15)],
  products: [.library(name: "RecommendationService", targets: ["RecommendationService"])],
  dependencies: [
    .package(name: "Trestle", path: "../..")
  ],
  targets: [
    .systemLibrary(name: "CMicroHTTPD", providers: [.apt(["libmicrohttpd-dev"])]),
    .target(name: "RecommendationService", dependencies: [.product(name: "Trestle", package: "Trestle")]),
    .executableTarget(name: "trestle-server", dependencies: ["RecommendationService", "CMicroHTTPD"]),
    .testTarget(name: "RecommendationServiceTests", dependencies: ["RecommendationService"]),
  ],
  swiftLanguageModes: [.v6]
)
