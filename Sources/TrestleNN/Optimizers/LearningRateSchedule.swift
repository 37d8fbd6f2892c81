import Foundation

/// How the learning rate changes over the steps: a factor on every group's rate.
///
/// A warm-up of `n` steps raises the factor linearly: 1/n at the first step, 1 at the n-th.
public enum LearningRateSchedule: Codable, Sendable, Hashable {
  /// 1 after `warmup` steps.
  case constant(warmup: Int = 0)
  /// Falls linearly from 1 after `warmup` steps to `final` at step `total`, and stays there.
  case linear(warmup: Int, total: Int, final: Double = 0)
  /// Falls along half a cosine from 1 after `warmup` steps to `final` at step `total`, and stays there.
  ///
  /// Source: Loshchilov and Hutter, *SGDR* (2016), without restarts.
  case cosine(warmup: Int, total: Int, final: Double = 0)
  /// Multiplied by `factor` after every `interval` steps.
  case step(interval: Int, factor: Double)

  /// The factor at a step, counted from 0.
  public func factor(at step: Int) -> Double {
    switch self {
    case .constant(let warmup): return Self.rise(step, warmup) ?? 1
    case .linear(let warmup, let total, let final):
      return Self.rise(step, warmup) ?? 1 + (final - 1) * Self.progress(step, warmup, total)
    case .cosine(let warmup, let total, let final):
      let progress = Self.progress(step, warmup, total)
      return Self.rise(step, warmup) ?? final + (1 - final) * 0.5 * (1 + cos(Double.pi * progress))
    case .step(let interval, let factor):
      return pow(factor, Double(step / max(interval, 1)))
    }
  }

  /// The factor while warming up, `nil` afterwards.
  private static func rise(_ step: Int, _ warmup: Int) -> Double? {
    step < warmup ? Double(step + 1) / Double(warmup) : nil
  }

  private static func progress(_ step: Int, _ warmup: Int, _ total: Int) -> Double {
    guard total > warmup else { return 1 }
    return min(1, max(0, Double(step - warmup) / Double(total - warmup)))
  }
}
