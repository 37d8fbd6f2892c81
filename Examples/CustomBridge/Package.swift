// swift-tools-version: 6.2
import PackageDescription

let package = Package(
  name: "CustomBridge",
  platforms: [.macOS(.v15), .iOS(.v18)],
  products: [.library(name: "CustomBridge", targets: ["CustomBridge"])],
  dependencies: [
    .package(name: "Trestle", path: "../..")
  ],
  targets: [
    .target(name: "CustomBridge", dependencies: [.product(name: "Trestle", package: "Trestle")]),
    .executableTarget(
      name: "train-custom-bridge",
      dependencies: ["CustomBridge", .product(name: "TrestleTestSupport", package: "Trestle")]),
    .testTarget(
      name: "CustomBridgeTests",
      dependencies: ["CustomBridge", .product(name: "TrestleTestSupport", package: "Trestle")]),
  ],
  swiftLanguageModes: [.v6]
)
