import TrestleTensor

/// A tensor that belongs to a layer's state but is not trained: running statistics, fixed masks.
///
/// Buffers are found like parameters, by looking through the stored properties, and are saved and loaded with them.
public final class Buffer {
  /// The tensor, never tracked.
  public private(set) var value: Tensor

  /// A buffer that starts at `value`.
  public init(_ value: Tensor) { self.value = value.detached }

  /// Replaces the value.
  ///
  /// - Precondition: shape and type stay.
  public func update(to value: Tensor) {
    precondition(
      value.shape == self.value.shape && value.dtype == self.value.dtype,
      "Buffer.update: \(value.dtype) \(value.shape), expected \(self.value.dtype) \(self.value.shape)")
    self.value = value.detached
  }
}

/// A buffer and its name within a model.
public struct NamedBuffer {
  /// The path to the buffer, with dots.
  public let name: String
  /// The buffer.
  public let buffer: Buffer
}

extension Module {
  /// All buffers with their names, in the order of the properties; a shared one appears once, by its first name.
  public var namedBuffers: [NamedBuffer] {
    var seen = Set<ObjectIdentifier>()
    return namedModules.flatMap { name, module in
      storedProperties(of: module).compactMap { label, value -> NamedBuffer? in
        guard let buffer = value as? Buffer, seen.insert(ObjectIdentifier(buffer)).inserted else {
          return nil
        }
        let key = type(of: module).checkpointKeys[label] ?? label
        return NamedBuffer(name: name.isEmpty || key.isEmpty ? name + key : name + "." + key, buffer: buffer)
      }
    }
  }
}

/// The stored properties of a value and of its superclasses.
private func storedProperties(of value: Any) -> [(String, Any)] {
  var levels: [Mirror] = []
  var level: Mirror? = Mirror(reflecting: value)
  while let current = level {
    levels.append(current)
    level = current.superclassMirror
  }
  return levels.reversed().flatMap(\.children).compactMap { child in
    guard let label = child.label else { return nil }
    let mirror = Mirror(reflecting: child.value)
    if mirror.displayStyle == .optional { return mirror.children.first.map { (label, $0.value) } }
    return (label, child.value)
  }
}
