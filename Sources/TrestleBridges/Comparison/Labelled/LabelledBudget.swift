/// How long the models of a ``LabelledComparison`` train, and on how much.
public struct LabelledBudget: Codable, Sendable, Hashable {
  /// The name on the command line and in results.
  public let name: String
  /// The most epochs of matrix factorisation, each over all training rows.
  public var domainEpochs = 60
  /// How many validations without improvement end it.
  public var patience = 6
  /// The epochs in which the language model's adapters train on text alone.
  public var textEpochs = 3
  /// The epochs in which what connects both trains.
  public var slotEpochs = 4
  /// The most training rows of an epoch of the language model; every epoch draws others. `nil` for all.
  public var trainingRows: Int?
  /// The most validation rows that the language model is validated on; `nil` for all. Matrix factorisation has all.
  public var validationRows: Int?
  /// The most test rows; `nil` for all.
  public var testRows: Int?
  /// The most titles of a prompt's history.
  public var historyItems = 4
  /// The prompts of a batch.
  public var batchSize = 16

  /// Well below an hour of a core for SmolLM2-135M, most of it for the test rows.
  public static let `default`: LabelledBudget = {
    var budget = LabelledBudget(name: "default")
    (budget.textEpochs, budget.slotEpochs) = (2, 5)
    (budget.trainingRows, budget.validationRows) = (400, 300)
    return budget
  }()

  /// Minutes: enough to see that everything runs.
  public static let quick: LabelledBudget = {
    var budget = LabelledBudget(name: "quick")
    (budget.domainEpochs, budget.textEpochs, budget.slotEpochs) = (20, 1, 1)
    (budget.trainingRows, budget.validationRows, budget.testRows) = (160, 100, 300)
    return budget
  }()

  /// All rows in every epoch, for hours.
  public static let full: LabelledBudget = {
    var budget = LabelledBudget(name: "full")
    budget.validationRows = 4000
    return budget
  }()

  /// A budget with all rows.
  public init(name: String) { self.name = name }
}
