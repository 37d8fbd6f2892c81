// The umbrella: `import Trestle` brings every public module.
@_exported import TrestleBridges
@_exported import TrestleFormats
@_exported import TrestleLanguageModels
@_exported import TrestleNN
@_exported import TrestleRecommenders
@_exported import TrestleTensor
@_exported import TrestleText
