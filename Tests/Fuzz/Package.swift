// swift-tools-version: 6.2
import PackageDescription

// The readers and saved states of Trestle under damaged input. `Scripts/fuzz` builds and runs both executables; see
// Documentation/Reliability.md.
let package = Package(
  name: "TrestleFuzz",
  platforms: [.macOS(.v15)],
  dependencies: [.package(name: "Trestle", path: "../..")],
  targets: [
    .target(
      name: "FuzzTargets",
      dependencies: [
        .product(name: "Trestle", package: "Trestle"),
        .product(name: "TrestleTestSupport", package: "Trestle"),
      ]),
    .target(name: "CLibFuzzer"),
    .executableTarget(name: "fuzz-reader", dependencies: ["CLibFuzzer", "FuzzTargets"]),
    .executableTarget(name: "mutation-campaign", dependencies: ["FuzzTargets"]),
  ],
  swiftLanguageModes: [.v6]
)
