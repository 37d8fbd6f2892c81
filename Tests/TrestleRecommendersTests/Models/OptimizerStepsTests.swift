import Foundation
import Testing
import TrestleNN
import TrestleRecommenders
import TrestleTensor
import TrestleTestSupport

/// Several steps of a training against PyTorch (Tests/Fixtures/recommenders/models/make_steps.py).
@Suite struct OptimizerStepsTests {
  struct Fixture: Decodable {
    let users0, items0, users2, items2, users5, items5: [[Double]]
    let losses: [Double]
    let users, positives, negatives: [[Int32]]
  }

  @Test func fiveStepsOfMatrixFactorizationArePyTorchs() throws {
    let file = TestAssets.fixtures.appending(path: "recommenders/models/steps.json")
    let fixture = try JSONDecoder().decode(Fixture.self, from: Data(contentsOf: file))
    var generator = RandomGenerator(seed: 0)
    var configuration = MatrixFactorization.Configuration()
    (configuration.dimension, configuration.regularization) = (3, 0.02)
    let model = MatrixFactorization(
      userCount: 6, itemCount: 9, configuration: configuration, dtype: .float64, using: &generator)
    model.tables.users.update(to: table(fixture.users0))
    model.tables.items.update(to: table(fixture.items0))
    let optimizer = Adam(model.trainableParameters, learningRate: 0.05)
    for step in 0..<5 {
      let batch = PairwiseBatch(
        users: fixture.users[step], positives: fixture.positives[step], negatives: fixture.negatives[step])
      let (loss, gradients) = valueAndGradients(of: model.trainableParameters) {
        model.loss(batch, model.representations())
      }
      #expect(abs(loss.item - fixture.losses[step]) < 1e-12, "loss of step \(step)")
      optimizer.update(with: gradients)
      if step == 1 { expect(model, fixture.users2, fixture.items2) }
    }
    expect(model, fixture.users5, fixture.items5)
    // The last user is in no batch.
    #expect(model.tables.users.detached[5].scalars() == fixture.users0[5])
  }

  private func table(_ rows: [[Double]]) -> Tensor { Tensor(rows.flatMap { $0 }, shape: [rows.count, 3]) }

  private func expect(_ model: MatrixFactorization, _ users: [[Double]], _ items: [[Double]]) {
    for (parameter, expected) in [(model.tables.users, users), (model.tables.items, items)] {
      let found: [Double] = parameter.detached.scalars()
      let worst = zip(found, expected.flatMap { $0 }).map { abs($0 - $1) }.max() ?? 0
      #expect(worst < 1e-10, "rows differ by \(worst)")
    }
  }
}
