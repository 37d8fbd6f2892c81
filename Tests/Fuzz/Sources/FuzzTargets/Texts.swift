import Foundation
import Trestle
import TrestleTestSupport

extension FuzzTarget {
  /// Tokenizers, their files, and text itself.
  static var texts: [FuzzTarget] {
    [
      FuzzTarget("tokenizer-json", seeds: { tokenizerSeeds.map { Array($0.utf8) } }) { bytes in
        let json = try bytes.withUnsafeBytes { try JSONValue(parsing: $0) }
        try use(try PretrainedTokenizer(json: json).tokenizer)
      },
      FuzzTarget("tokenizer-config", seeds: { [Array(configSeed.utf8)] }) { bytes in
        let json = try JSONValue(parsing: tokenizerSeeds[0])
        let config = try bytes.withUnsafeBytes { try JSONValue(parsing: $0) }
        try use(try PretrainedTokenizer(json: json, config: config).tokenizer)
      },
      FuzzTarget("tokenizer-gguf", seeds: { [tinyGGUF(tokenizer: "llama"), tinyGGUF(tokenizer: "gpt2")] }) {
        bytes in
        let file = try GGUFFile(MappedFile(copying: bytes, name: "input"))
        try use(try PretrainedTokenizer(gguf: file).tokenizer)
      },
      FuzzTarget(
        "text",
        seeds: {
          ["Toy Story (1995) </s><|im_end|> \u{E9}\u{301}\u{316}", "a\u{FB01}b [SEP]"].map { Array($0.utf8) }
        }
      ) { bytes in
        let text = String(decoding: bytes, as: UTF8.self)
        for tokenizer in try tokenizers.get() {
          let ids = tokenizer.encode(text)
          let special = tokenizer.specialTokens
          precondition(
            ids.allSatisfy { !special.contains($0) || $0 == special.unknown }, "text became a special token")
          _ = tokenizer.decode(ids)
        }
      },
      FuzzTarget("jinja-template", seeds: { jinjaSeeds.map { Array($0.utf8) } }) { bytes in
        let template = try JinjaTemplate(String(decoding: bytes, as: UTF8.self), limits: jinjaLimits)
        let special = SpecialTokens(ids: ["<|im_end|>": 0, "<s>": 1], beginning: 1, end: 0)
        let messages = [
          ChatMessage(role: .system, text: "Be kind."), ChatMessage(role: .user, text: "\u{1F3AC}\u{1F3AD}"),
        ]
        let prompt = try template.prompt(for: messages, specialTokens: special)
        // What the user said has scalars that no seed has: they stay text of others, wherever they went.
        for case .trusted(let text) in prompt.segments {
          precondition(
            bytes.contains(0xF0) || bytes.contains(UInt8(ascii: "\\")) || !text.contains("\u{1F3AC}"),
            "a message's text became the template's")
        }
      },
    ]
  }

  private static let jinjaLimits = {
    var limits = JinjaTemplate.Limits()
    (limits.steps, limits.length) = (200_000, 100_000)
    return limits
  }()

  private static let jinjaSeeds = [
    "{{- bos_token }}{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m['content'] | trim }}<|im_end|>{% endfor %}",
    "{% set ns = namespace(i=0) %}{%- for m in messages[::-1] if m.role != 'tool' -%}{% set ns.i = ns.i + 1 %}"
      + "{{ loop.index ~ m.content.split('e')[0].strip() ~ (m | tojson(indent=2)) }}{%- else %}{{ none }}{% endfor %}",
    "{% macro f(a, b=2) %}{{ a * b }}{% if a is string and not b %}{% elif a in [1, 2.5] %}x{% else %}y{% endif %}"
      + "{% endmacro %}{{ f('z', b=3) }}{# note #}{{ messages | map(attribute='role') | join(', ') | upper }}",
    "{% set t %}{{ {'a': (1, 'b')}.items() | list | length }}{% endset %}{{ t if t is defined else raise_exception('x') }}",
  ]

  private static func use(_ tokenizer: any Tokenizer) throws {
    let special = tokenizer.specialTokens
    for text in ["ab a\u{E9} b", "</s><s> <|im_end|>", ""] {
      let ids = tokenizer.encode(text)
      let isPlain = ids.allSatisfy { id in
        Int(id) < tokenizer.vocabularySize && (!special.contains(id) || id == special.unknown)
      }
      precondition(isPlain, "text became a special token")
      _ = tokenizer.decode(ids)
    }
  }

  private static let tokenizers = Result {
    try tokenizerSeeds.map { try PretrainedTokenizer(json: JSONValue(parsing: $0)).tokenizer }
  }

  private static let configSeed = """
    {"bos_token": "<s>", "eos_token": {"content": "</s>"}, "unk_token": "<s>", "additional_special_tokens": ["a"], \
    "added_tokens_decoder": {"1": {"content": "</s>", "special": true}}}
    """

  private static let tokenizerSeeds: [String] = [
    """
    {"version": "1.0", "added_tokens": [{"id": 0, "content": "<s>", "special": true}, {"id": 1, "content": "</s>", \
    "special": true}], "normalizer": {"type": "NFC"}, "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false, \
    "trim_offsets": true, "use_regex": true}, "post_processor": {"type": "ByteLevel"}, "decoder": {"type": "ByteLevel"}, \
    "model": {"type": "BPE", "unk_token": null, "vocab": {"<s>": 0, "</s>": 1, "a": 2, "b": 3, "ab": 4, "\u{120}": 5, \
    "\u{120}a": 6}, "merges": ["a b", ["\u{120}", "a"]]}}
    """,
    """
    {"version": "1.0", "added_tokens": [{"id": 0, "content": "<unk>", "special": true}, {"id": 1, "content": "</s>", \
    "special": true}], "normalizer": {"type": "Sequence", "normalizers": [{"type": "Prepend", "prepend": "\u{2581}"}, \
    {"type": "Replace", "pattern": {"String": " "}, "content": "\u{2581}"}]}, "pre_tokenizer": null, "post_processor": \
    {"type": "TemplateProcessing", "single": [{"Sequence": {"id": "A", "type_id": 0}}, {"SpecialToken": {"id": "</s>", \
    "type_id": 0}}], "pair": [], "special_tokens": {}}, "decoder": {"type": "Sequence", "decoders": [{"type": "Replace", \
    "pattern": {"String": "\u{2581}"}, "content": " "}, {"type": "ByteFallback"}, {"type": "Fuse"}, {"type": "Strip", \
    "content": " ", "start": 1, "stop": 0}]}, "model": {"type": "BPE", "unk_token": "<unk>", "fuse_unk": true, \
    "byte_fallback": false, "vocab": {"<unk>": 0, "</s>": 1, "\u{2581}": 2, "a": 3, "b": 4, "\u{2581}a": 5, "ab": 6}, \
    "merges": ["\u{2581} a", "a b"]}}
    """,
    """
    {"version": "1.0", "added_tokens": [{"id": 0, "content": "[PAD]", "special": true}, {"id": 2, "content": "[CLS]", \
    "special": true}], "normalizer": {"type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true, \
    "strip_accents": null, "lowercase": true}, "pre_tokenizer": {"type": "BertPreTokenizer"}, "post_processor": \
    {"type": "BertProcessing", "sep": ["[SEP]", 3], "cls": ["[CLS]", 2]}, "decoder": {"type": "WordPiece", "prefix": \
    "##", "cleanup": true}, "model": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##", \
    "max_input_chars_per_word": 100, "vocab": {"[PAD]": 0, "[UNK]": 1, "[CLS]": 2, "[SEP]": 3, "a": 4, "##b": 5, "b": 6, \
    "##bc": 7}}}
    """,
  ]
}
