import TrestleLanguageModels
import TrestleRecommenders
import TrestleTensor

extension BridgeMechanism {
  /// KAR and LLMRec with texts that the language model itself writes about items and users, in place of the items' own. They are
  /// not among ``all``: writing takes longer than all else that they do, and needs ``BridgeComparison/writer``.
  public static let written = [
    composed(
      name: "KAR-Written", source: "RecSys 2024",
      exchange: "texts that it writes, through experts, as features", outcome: .domain, seesNewItems: true,
      of: { try $0.writtenSides() }
    ) { b in
      KAR(textSource: .encodedText, readsUsers: true, epochs: b.domainEpochs, patience: b.patience)
    },
    composed(
      name: "LLMRec-Written", source: "WSDM 2024",
      exchange: "edges that it marks; texts that it writes, as features", outcome: .domain,
      seesNewItems: true, of: { try $0.writtenSides() }
    ) { b in
      var c = LLMRec.Configuration()
      (c.domainEpochs, c.patience, c.languageEpochs) = (b.domainEpochs, b.patience, b.languageEpochs)
      c.textSource = .encodedText
      return LLMRec(c)
    },
  ]
}
