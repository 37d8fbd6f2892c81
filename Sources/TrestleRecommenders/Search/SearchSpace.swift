import Foundation
import TrestleTensor

/// Values of settings under their names, as ``SearchSpace`` draws them; whole numbers are whole.
public typealias SearchSettings = [String: Double]

/// The settings that a search may change, and from where it draws each.
public struct SearchSpace: Sendable, Codable, Equatable {
  /// Where a setting's values come from.
  public enum Domain: Sendable, Codable, Equatable {
    /// Numbers whose logarithms are equally likely between two positive bounds.
    case logUniform(ClosedRange<Double>)
    /// Numbers that are equally likely between two bounds.
    case uniform(ClosedRange<Double>)
    /// Whole numbers, all equally likely, bounds included.
    case integer(ClosedRange<Int>)
    /// One of these numbers, all equally likely.
    case choice([Double])

    /// A value.
    func draw(_ generator: inout RandomGenerator) -> Double {
      switch self {
      case .logUniform(let range):
        let (low, high) = (log(range.lowerBound), log(range.upperBound))
        let value = exp(low + (high - low) * generator.uniform())
        return min(max(value, range.lowerBound), range.upperBound)
      case .uniform(let range):
        return range.lowerBound + (range.upperBound - range.lowerBound) * generator.uniform()
      case .integer(let range):
        return Double(range.lowerBound + generator.index(below: range.upperBound - range.lowerBound + 1))
      case .choice(let values): return values[generator.index(below: values.count)]
      }
    }

    /// Whether the domain has the value.
    public func contains(_ value: Double) -> Bool {
      switch self {
      case .logUniform(let range), .uniform(let range): range.contains(value)
      case .integer(let range): Int(exactly: value).map(range.contains) ?? false
      case .choice(let values): values.contains(value)
      }
    }

    /// Whether values can be drawn.
    var isValid: Bool {
      switch self {
      case .logUniform(let range): range.lowerBound > 0 && range.upperBound.isFinite
      case .uniform(let range): range.lowerBound.isFinite && range.upperBound.isFinite
      case .integer(let range):
        range.upperBound.subtractingReportingOverflow(range.lowerBound).partialValue < Int(Int32.max)
          && range.lowerBound > Int(Int32.min) && range.upperBound < Int(Int32.max)
      case .choice(let values): !values.isEmpty && values.allSatisfy(\.isFinite)
      }
    }
  }

  /// One setting.
  public struct Setting: Sendable, Codable, Equatable {
    /// Its name, unique in the space.
    public let name: String
    /// Where its values come from.
    public let domain: Domain
    /// The recommended value, which is tried first; it need not be of the domain.
    public let initial: Double

    /// A setting.
    public init(_ name: String, _ domain: Domain, initial: Double) {
      (self.name, self.domain, self.initial) = (name, domain, initial)
    }
  }

  /// The settings, in the order in which they are drawn.
  public let settings: [Setting]

  /// A space.
  ///
  /// - Precondition: names are unique, and domains have values: bounds are finite and, of logarithms, positive; choices are not
  ///   empty; whole numbers are of 32 bits.
  public init(_ settings: [Setting]) {
    precondition(
      Set(settings.map(\.name)).count == settings.count && settings.allSatisfy { $0.domain.isValid },
      "SearchSpace: \(settings)")
    self.settings = settings
  }

  /// The settings of a trial, which depend on the seed and the trial's number only: those of trial 0 are the recommended ones.
  public func settings(ofTrial trial: Int, seed: UInt64) -> SearchSettings {
    var generator = RandomGenerator(seed: seed).split(0x7365_6172).split(UInt64(trial))
    var drawn: SearchSettings = [:]
    for setting in settings {
      drawn[setting.name] = trial == 0 ? setting.initial : setting.domain.draw(&generator)
    }
    return drawn
  }

  /// Stops values that are neither of the domains nor recommended, and names that the space does not have.
  func check(_ values: SearchSettings, of operation: String) throws(DataError) {
    for (name, value) in values.sorted(by: { $0.key < $1.key }) {
      guard let setting = settings.first(where: { $0.name == name }) else {
        let names = settings.map(\.name).joined(separator: ", ")
        throw .invalidParameter(
          operation: operation, expected: names.isEmpty ? "no settings" : "settings among \(names)",
          found: name)
      }
      guard setting.domain.contains(value) || value == setting.initial else {
        throw .invalidParameter(
          operation: operation, expected: "\(name) of \(setting.domain)", found: "\(value)")
      }
    }
  }
}

extension SearchSpace.Domain: CustomStringConvertible {
  /// The domain in words.
  public var description: String {
    switch self {
    case .logUniform(let range): "\(range.lowerBound) to \(range.upperBound) by logarithms"
    case .uniform(let range): "\(range.lowerBound) to \(range.upperBound)"
    case .integer(let range): "\(range.lowerBound) to \(range.upperBound), whole"
    case .choice(let values): "one of \(values.map { "\($0)" }.joined(separator: ", "))"
    }
  }
}
