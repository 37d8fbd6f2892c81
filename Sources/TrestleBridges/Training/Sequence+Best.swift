extension Sequence {
  /// What is made of the element whose figure on validation data is the highest, the first of equals; `nil` without a figure above −∞.
  func best<Made>(
    _ make: (Element) throws -> (figure: Double, made: Made)
  ) rethrows -> (figure: Double, made: Made)? {
    var best: (figure: Double, made: Made)?
    for element in self {
      let next = try make(element)
      if next.figure > best?.figure ?? -.infinity { best = next }
    }
    return best
  }
}
