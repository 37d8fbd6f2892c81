import TrestleTensor

/// A part of a model: something that holds parameters, itself or in its parts.
///
/// The parameters are found by looking through the stored properties: ``Parameter``s, modules, and optionals, arrays and
/// string-keyed dictionaries of both. A parameter's name is the path to it, with dots, as checkpoints write it:
/// `layers.0.attention.weight`.
///
/// ```swift
/// final class Block: Module {
///   static let checkpointKeys = ["queryProjection": "q_proj"]
///   let queryProjection: Linear  // its weight is found as "q_proj.weight"
/// }
/// ```
public protocol Module {
  /// The names that checkpoints use for properties whose Swift name differs. An empty name leaves no trace in the path.
  static var checkpointKeys: [String: String] { get }
}

/// A parameter and its name within a model.
public struct NamedParameter {
  /// The path to the parameter, with dots.
  public let name: String
  /// The parameter.
  public let parameter: Parameter
}

extension Module {
  /// No property has another name in checkpoints.
  public static var checkpointKeys: [String: String] { [:] }

  /// All parameters with their names, in the order of the properties; a shared one appears once, by its first name.
  public var namedParameters: [NamedParameter] {
    var seen = Set<ObjectIdentifier>()
    var result: [NamedParameter] = []
    collect(self, prefix: "", into: &result, seen: &seen)
    return result
  }

  /// All parameters, in the order of the properties.
  public var parameters: [Parameter] { namedParameters.map(\.parameter) }

  /// The parameters that are trained.
  public var trainableParameters: [Parameter] { parameters.filter(\.isTrainable) }

  /// Stops training of all parameters of this module: they cost no gradient from then on.
  public func freeze() { for parameter in parameters { parameter.isTrainable = false } }

  /// Trains all parameters of this module.
  public func unfreeze() { for parameter in parameters { parameter.isTrainable = true } }
}

private func collect(
  _ value: Any, prefix: String, into result: inout [NamedParameter], seen: inout Set<ObjectIdentifier>
) {
  if let parameter = value as? Parameter {
    if seen.insert(ObjectIdentifier(parameter)).inserted {
      result.append(NamedParameter(name: prefix, parameter: parameter))
    }
    return
  }
  let mirror = Mirror(reflecting: value)
  switch mirror.displayStyle {
  case .optional:
    if let child = mirror.children.first { collect(child.value, prefix: prefix, into: &result, seen: &seen) }
  case .collection:
    for (index, child) in mirror.children.enumerated() {
      guard child.value is Module || child.value is Parameter else { return }
      collect(child.value, prefix: joined(prefix, "\(index)"), into: &result, seen: &seen)
    }
  case .dictionary:
    let pairs =
      (value as? [String: any Module]).map { $0.mapValues { $0 as Any } } ?? (value as? [String: Parameter])
      ?? [:]
    for (key, child) in pairs.sorted(by: { $0.key < $1.key }) {
      collect(child, prefix: joined(prefix, key), into: &result, seen: &seen)
    }
  default:
    guard let module = value as? any Module else { return }
    let keys = type(of: module).checkpointKeys
    var level: Mirror? = mirror
    var levels: [Mirror] = []
    while let current = level {
      levels.append(current)
      level = current.superclassMirror
    }
    for child in levels.reversed().flatMap(\.children) {
      guard let label = child.label else { continue }
      collect(child.value, prefix: joined(prefix, keys[label] ?? label), into: &result, seen: &seen)
    }
  }
}

private func joined(_ prefix: String, _ name: String) -> String {
  if prefix.isEmpty { return name }
  return name.isEmpty ? prefix : prefix + "." + name
}
