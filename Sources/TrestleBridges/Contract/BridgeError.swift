import TrestleFormats

/// What can go wrong when a bridge is composed, trained, saved or loaded.
public enum BridgeError: Error, Equatable, CustomStringConvertible, Sendable {
  /// A side lacks something that the bridge needs.
  case missingCapability(bridge: String, side: String, capability: Capability)
  /// The sides, or a saved state and the sides, do not speak of the same users and items.
  case foreignVocabulary(side: String, expected: String, found: String)
  /// A saved file is not what was expected at `place`.
  case invalidState(path: String, place: String, expected: String, found: String)
  /// A loss or gradient was not finite; the last good state is kept.
  case notFinite(bridge: String, phase: String, epoch: Int, batch: Int, cause: String)
  /// The run was asked to stop; it can be resumed from `checkpoint`.
  case interrupted(checkpoint: String)

  /// One sentence that says what was wrong, where, and what was expected.
  public var description: String { PrintableText.message(message) }

  private var message: String {
    switch self {
    case .missingCapability(let bridge, let side, let capability):
      "the bridge '\(bridge)' needs \(capability.rawValue) of the side '\(side)', which has none"
    case .foreignVocabulary(let side, let expected, let found):
      "the users and items of '\(side)' are not the expected ones: expected \(expected), found \(found)"
    case .invalidState(let path, let place, let expected, let found):
      "\(path): \(place): expected \(expected), found \(found)"
    case .notFinite(let bridge, let phase, let epoch, let batch, let cause):
      "'\(bridge)' stopped in phase '\(phase)', epoch \(epoch), batch \(batch): \(cause)"
    case .interrupted(let checkpoint):
      "interrupted; everything up to the last epoch is saved in \(checkpoint)"
    }
  }
}
