import TrestleTensor

/// A part of a model: something that holds parameters, itself or in its parts.
///
/// The parameters are found by looking through the stored properties: `Parameter`s, modules, and optionals, arrays and
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
    var walk = ModuleWalk()
    walk.visit(self, name: "")
    return walk.parameters
  }

  /// This module and all modules in it with their names, in the order of the properties; its own name is empty.
  public var namedModules: [(name: String, module: any Module)] {
    var walk = ModuleWalk()
    walk.visit(self, name: "")
    return walk.modules
  }

  /// All parameters, in the order of the properties.
  public var parameters: [Parameter] { namedParameters.map(\.parameter) }

  /// The parameters that are trained.
  public var trainableParameters: [Parameter] { parameters.filter(\.isTrainable) }

  /// Stops training of all parameters of this module: they cost no gradient from then on.
  public func freeze() { for parameter in parameters { parameter.isTrainable = false } }

  /// Trains all parameters of this module.
  public func unfreeze() { for parameter in parameters { parameter.isTrainable = true } }

  /// Tells every layer that behaves differently in training, such as ``Dropout``, whether this is training.
  public func setTraining(_ isTraining: Bool) {
    for case let (_, layer as any TrainingDependent) in namedModules { layer.isTraining = isTraining }
  }
}

/// A layer that behaves differently in training; see ``Module/setTraining(_:)``.
public protocol TrainingDependent: Module, AnyObject {
  /// Whether the layer behaves as in training.
  var isTraining: Bool { get set }
}

/// A walk through the stored properties of a module.
private struct ModuleWalk {
  var parameters: [NamedParameter] = []
  var modules: [(name: String, module: any Module)] = []
  private var seen = Set<ObjectIdentifier>()

  mutating func visit(_ value: Any, name: String) {
    if let parameter = value as? Parameter {
      if seen.insert(ObjectIdentifier(parameter)).inserted {
        parameters.append(NamedParameter(name: name, parameter: parameter))
      }
      return
    }
    let mirror = Mirror(reflecting: value)
    switch mirror.displayStyle {
    case .optional:
      if let child = mirror.children.first { visit(child.value, name: name) }
    case .collection:
      for (index, child) in mirror.children.enumerated() {
        guard child.value is Module || child.value is Parameter else { return }
        visit(child.value, name: joined(name, "\(index)"))
      }
    case .dictionary:
      let parts =
        (value as? [String: any Module]).map { $0.mapValues { $0 as Any } }
        ?? (value as? [String: Parameter]) ?? [:]
      for (key, child) in parts.sorted(by: { $0.key < $1.key }) { visit(child, name: joined(name, key)) }
    default:
      if let module = value as? any Module { visitParts(of: module, mirror, name: name) }
    }
  }

  private mutating func visitParts(of module: any Module, _ mirror: Mirror, name: String) {
    modules.append((name, module))
    let keys = type(of: module).checkpointKeys
    var levels: [Mirror] = []
    var level: Mirror? = mirror
    while let current = level {
      levels.append(current)
      level = current.superclassMirror
    }
    for child in levels.reversed().flatMap(\.children) {
      guard let label = child.label else { continue }
      visit(child.value, name: joined(name, keys[label] ?? label))
    }
  }

  private func joined(_ prefix: String, _ name: String) -> String {
    if prefix.isEmpty { return name }
    return name.isEmpty ? prefix : prefix + "." + name
  }
}
