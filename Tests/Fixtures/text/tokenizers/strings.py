"""The strings of the tokenizer fixtures: hard ones written by hand, random ones regenerated from a seed."""

HARD = [
    # Nothing, and whitespace of every kind.
    "", " ", "  ", "   ", "    ", "        ", " " * 31, " " * 100, "\n", "\n\n", "\n\n\n", "\r", "\r\n", "\r\n\r\n",
    "\t", "\t\t", " \n", "\n ", " \n ", "  \n  ", "\t\n\t", "\v", "\f", "\x85", "\xa0", "\xa0\xa0", " \xa0 ",
    "\u1680", "\u2000\u2003\u2009", "\u2028", "\u2029", "\u202f", "\u205f", "\u3000", "\u3000\u3000 ", "\u200b", "\ufeff",
    "\u180e", " a", "a ", " a ", "  a", "a  ", "   a   ", "a  b", "a   b", "a\tb", "a \tb", "a\n b", "a\n  b", "a \nb",
    "a\r\nb", "a\n\n\nb", "a  \n\n  b", "\n\nThe end.\n\n", "a\xa0b", "a \xa0b", "a\u3000b", "a\u200bb", "a\u200db",
    "trailing spaces   ", "   leading spaces", "tabs\tand\tmore\t\ttabs", "line one\nline two\r\nline three\rline four",
    # English with contractions, case and punctuation.
    "Hello", "hello world", "Hello, world!", " Hello", "HELLO WORLD", "hELLO wORLD", "The quick brown fox jumps over the lazy dog.",
    "I'm you're he's we've they'll I'd don't", "I'M YOU'RE HE'S WE'VE THEY'LL I'D DON'T", "it's 'quoted' 'text's",
    "''s", "' s", "'s", "'S", "'ll", "'LL", "'lL", "'re", "'RE", "'v", "'ve", "'VE", "'t", "'T", "'m", "'M", "'d", "'D",
    "'\u017f", "a'\u017fb", "rock'n'roll", "O'Reilly's", "\u2019s it\u2019s don\u2019t", "well-known state-of-the-art", "e.g., i.e., etc.",
    "What?! No... Yes!!!", "(parentheses) [brackets] {braces} <angles>", "\"double\" 'single' `back`", "a,b,c;d:e", "...", "....", ". . .",
    "---", "--", "\u2013 \u2014", "***bold*** _it_ ~~no~~", "#hashtag @mention", "100%", "$9.99 \u20ac10 \u00a35 \u00a5100", "C++ C# F#",
    "user@example.com", "https://example.org/a/b?c=d&e=f#g", "/usr/local/bin", "C:\\path\\file.txt", "snake_case camelCase PascalCase kebab-case",
    "supercalifragilisticexpialidocious", "pneumonoultramicroscopicsilicovolcanoconiosis", "Donaudampfschifffahrtsgesellschaftskapit\u00e4n",
    "a" * 50, "ab" * 40, "x" * 300, "!" * 40, "?!" * 20, "-" * 80, "=" * 33, "word " * 20, "hahahahahahahahaha", "zzzzzzzzzzZZZZZZZZZZ",
    # Numbers.
    "0", "7", "42", "123", "1234", "12345", "1234567890", "3.14159", "-1", "+1", "1,000,000", "1e-5", "0x1F", "1995", "(1995)", "1st 2nd 3rd",
    " 1", " 12", "  123", "a1b2c3", "2024-02-29T23:59:59Z", "12:34", "00000", "9" * 25, "\u0661\u0662\u0663", "\u0967\u0968\u0969", "\u00bd \u00be", "\u2167 \u2168",
    "x\u00b2 + y\u00b3", "\u2460\u2461", "\uff11\uff12\uff13", "\u4e00\u4e8c\u4e09", "\U0001d7d9\U0001d7da", "Windows95", "4K", "v2.0.1-beta+3",
    # Accents, combining marks, normalisation forms.
    "caf\u00e9", "cafe\u0301", "na\u00efve", "nai\u0308ve", "\u00c5ngstr\u00f6m", "A\u030angstro\u0308m", "\u212bngstr\u00f6m", "\u1e9b\u0323", "\u1e69", "s\u0323\u0307", "s\u0307\u0323",
    "\u0301", "\u0301\u0302\u0303", "a\u0301\u0302\u0303\u0304", "e\u0301" * 10, "z\u0351\u036b\u0343a\u0363\u0488l\u0348g\u034bo\u0300", "\ufb01ne \ufb02ow", "Stra\u00dfe STRASSE", "\u0130stanbul \u0131",
    "\u01c4 \u01c5 \u01c6", "\u03a3\u03c3\u03c2", "Cr\u00e8me Br\u00fbl\u00e9e", "\u0141\u00f3d\u017a \u017b\u00f3\u0142\u0107", "\u1ea4n \u0111\u1ed9 Vi\u1ec7t Nam", "\u1112\u1161\u11ab", "\ud55c\uae00",
    # Scripts.
    "\u041f\u0440\u0438\u0432\u0435\u0442, \u043c\u0438\u0440!", "\u0401\u043b\u043a\u0430 \u0438 \u0439\u043e\u0434", "\u0393\u03b5\u03b9\u03ac \u03c3\u03bf\u03c5 \u039a\u03cc\u03c3\u03bc\u03b5", "\u05e9\u05dc\u05d5\u05dd \u05e2\u05d5\u05dc\u05dd", "\u05e9\u05b8\u05c1\u05dc\u05d5\u05b9\u05dd",
    "\u0645\u0631\u062d\u0628\u0627 \u0628\u0627\u0644\u0639\u0627\u0644\u0645", "\u0645\u064f\u062d\u064e\u0645\u064e\u0651\u062f", "\u0627\u0644\u0633\u0644\u0627\u0645\u061f 123\u060c", "\u0928\u092e\u0938\u094d\u0924\u0947 \u0926\u0941\u0928\u093f\u092f\u093e", "\u0e2a\u0e27\u0e31\u0e2a\u0e14\u0e35\u0e0a\u0e32\u0e27\u0e42\u0e25\u0e01",
    "\u4f60\u597d\uff0c\u4e16\u754c\uff01", "\u4f60\u597d world \u4e16\u754c", "\u3053\u3093\u306b\u3061\u306f\u4e16\u754c", "\u30c6\u30b9\u30c8\u3067\u3059\u3002", "\u30ab\u3099", "\uff76\uff9e", "\uc548\ub155\ud558\uc138\uc694 \uc138\uacc4", "\u10d2\u10d0\u10db\u10d0\u10e0\u10ef\u10dd\u10d1\u10d0",
    "\u0561\u0562\u0563", "\u1200\u1208", "\u13a3\u13b3", "\ua000\ua001", "\U00020000\U00020001", "\U0001f000", "\u2800\u2801", "\U00010330\U00010331", "mixed \u0441\u043c\u0435\u0448\u0430\u043d\u043d\u044b\u0439 \u6df7\u5408 \u0645\u062e\u062a\u0644\u0637",
    # Emoji: skin tones, joiners, flags, keycaps, variation selectors.
    "\U0001f600", "\U0001f600\U0001f601\U0001f602", "hi \U0001f44b there", "\U0001f44b\U0001f3fd", "\U0001f468\u200d\U0001f469\u200d\U0001f467\u200d\U0001f466", "\U0001f1eb\U0001f1f7\U0001f1ef\U0001f1f5", "1\ufe0f\u20e3", "\u2764\ufe0f", "\u2764",
    "\U0001f3f3\ufe0f\u200d\U0001f308", "\U0001f9d1\U0001f3ff\u200d\U0001f4bb", "\u2603\u2602\u2600", "\u2192\u2190\u2194", "\u221a2 \u2248 1.414 \u221e", "\u2200x\u2208\u211d: x\u00b2\u22650", "\u266b\u266a", "\u00a9\u00ae\u2122", "\u2026", "\u00ab\u00bb\u201c\u201d\u2018\u2019",
    # Control characters, bidirectional marks, private use, noncharacters, replacement character.
    "\x00", "a\x00b", "\x01\x02\x03", "\x1b[31mred\x1b[0m", "\x7f", "\x80\x9f", "\u00ad soft\u00adhyphen", "\u200e\u200fmarks", "\u202eoverride\u202c", "\u2066isolate\u2069",
    "\ue000\uf8ff", "\ufffd", "\ufffe\uffff", "\U000e0001\U000e0041", "\U0010ffff", "\ufe00\ufe0f", "\u2060", "\u034f",
    # Code and markup.
    "func main() {\n    print(\"hi\")\n}\n", "for (int i = 0; i < 10; ++i) { a[i] += i * 2; }", "def f(x):\n\treturn x**2  # square\n", "SELECT * FROM t WHERE a='b' AND c>=1;",
    "{\"key\": [1, 2.5, null, true], \"k\\\"ey\": \"v\\n\"}", "<div class=\"a b\">&nbsp;&amp;</div>", "if(a&&b||!c){}", "x=>y->z::w", "\\alpha\\beta_{i}^{2}", "a\\nb\\tc", "%s %d %5.2f",
    "    indented\n        more\n\tmixed", "\n\n\n\n    \n\n", "#!/bin/sh\nset -e\n", "```swift\nlet x = 1\n```", "| a | b |\n|---|---|\n| 1 | 2 |",
    # Texts that spell special or entity tokens.
    "<|im_end|>", "<|im_start|>user\nhi<|im_end|>\n", "<|endoftext|>", "<s>", "</s>", "<s>[INST] hi [/INST]</s>", "<unk>", "<|begin_of_text|>", "[CLS] [SEP] [MASK] [PAD] [UNK]",
    "<item:5>", "<|im_end", "|im_end|>", "<|<|im_end|>|>", "< |im_end|>", "<\u200d|im_end|>", "<0x0A>", "\u2581", "\u2581\u2581Hello\u2581world", "##ing ##s", "\u0120Hello\u010a",
    # Titles.
    "Toy Story (1995)", "Am\u00e9lie (Le Fabuleux destin d'Am\u00e9lie Poulain) (2001)", "8\u00bd (1963)", "Se7en", "WALL\u00b7E", "Schindler's List", "M*A*S*H", "Crouching Tiger, Hidden Dragon (\u5367\u864e\u85cf\u9f99)",
    "Movie: Toy Story (1995). Genres: Animation Children's Comedy.", "Dr. Strangelove or: How I Learned to Stop Worrying and Love the Bomb",
]  # fmt: skip

SEED, COUNT = 20231107, 5000
RANGES = [(0x20, 0x7E), (0xA0, 0x24F), (0x300, 0x36F), (0x400, 0x4FF), (0x600, 0x6FF), (0x4E00, 0x4FFF), (0x1F300, 0x1F64F)]
PIECES = [" ", "\n", "\t", "\r", "\u00a0", "\u200b", "\u200d", "\u3000", "'s", "'LL", "0", "7"]
MASK = (1 << 64) - 1


class SplitMix64:
    """Steele, Lea and Flood's generator: the state grows by the golden ratio, the output is a mix of it."""

    def __init__(self, seed):
        self.state = seed

    def next(self):
        self.state = (self.state + 0x9E3779B97F4A7C15) & MASK
        z = self.state
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
        return z ^ (z >> 31)


def random_strings(seed=SEED, count=COUNT):
    """Strings of `next() % 24 + 1` elements. An element: `r = next() % 8`; for r = 7 it is `PIECES[next() % 12]`,
    else the code point `low + next() % (high - low + 1)` of `RANGES[r]`."""
    random = SplitMix64(seed)
    strings = []
    for _ in range(count):
        parts = []
        for _ in range(random.next() % 24 + 1):
            r = random.next() % 8
            if r == 7:
                parts.append(PIECES[random.next() % len(PIECES)])
            else:
                low, high = RANGES[r]
                parts.append(chr(low + random.next() % (high - low + 1)))
        strings.append("".join(parts))
    return strings


def hash_of(lists):
    """FNV-1a, 64 bits: every id as four little-endian bytes, and 0xFFFFFFFF after each list."""
    value = 0xCBF29CE484222325
    for ids in lists:
        for number in list(ids) + [0xFFFFFFFF]:
            for byte in number.to_bytes(4, "little"):
                value = ((value ^ byte) * 0x100000001B3) & MASK
    return f"{value:016x}"


# What the small tokenizers are trained on: a few sentences in several languages, code, and the hard strings.
CORPUS = """
A bridge carries traffic in both directions, and a trestle is the simplest bridge that can be built from small parts.
The recommender knows who bought what with what; the language model knows what the words in the title mean.
People who liked the first film usually watch the second one, although the critics didn't like it at all.
She said: "I've never seen anything like it, and I don't think you'll find a better one anywhere else."
The movie was released in 1995 and again in 2005; it's 117 minutes long, it cost $30,000,000, and it earned 12.5 times as much.
In the beginning there were only two of them, then there were three, and in the end nobody counted them any more.
We're going to measure everything twice: once with the cache, once without; whatever is slower has to be explained.
Action, Adventure, Animation, Children's, Comedy, Crime, Documentary, Drama, Fantasy, Horror, Musical, Mystery, Romance, Thriller, War, Western.
Users and items are tokens, tokens are rows, rows are vectors, and vectors that point the same way belong together.
What is the best way to learn from few interactions? Nobody knows; everybody has an opinion about it, though.
Training, testing, evaluating, reading, writing, running, walking, talking, thinking, singing, bringing, thanking.
National international nationality rationalisation organisation recommendation representation information transformation.
for (int index = 0; index < count; ++index) { total += values[index] * weights[index]; }
func update(_ parameters: inout [Tensor], with gradients: Gradients) throws -> Bool { return true }
def forward(self, input_ids, attention_mask=None):\n    return self.model(input_ids)\n
import os, sys\nif __name__ == "__main__":\n    print("done")\n
{"name": "value", "list": [1, 2, 3], "nested": {"key": null, "other": false}}
Ein gro\u00dfes Schiff f\u00e4hrt \u00fcber den Flu\u00df, und die Br\u00fccke \u00f6ffnet sich langsam f\u00fcr die Schifffahrt.
Die Leute, die das gesehen haben, haben auch dieses gesehen; das hei\u00dft aber nicht, da\u00df es ihnen gefallen hat.
Le gar\u00e7on a mang\u00e9 une cr\u00eape au caf\u00e9, puis il est all\u00e9 au cin\u00e9ma avec ses s\u0153urs et leurs amis.
L'\u00e9t\u00e9 dernier, nous avons vu le m\u00eame film trois fois, mais personne n'a compris la fin de l'histoire.
El ni\u00f1o comi\u00f3 una manzana ma\u00f1ana por la ma\u00f1ana; \u00bfqui\u00e9n sabe por qu\u00e9? \u00a1Nadie lo sabe todav\u00eda!
A informa\u00e7\u00e3o n\u00e3o est\u00e1 dispon\u00edvel, ent\u00e3o a recomenda\u00e7\u00e3o usa apenas as intera\u00e7\u00f5es.
Za\u017c\u00f3\u0142\u0107 g\u0119\u015bl\u0105 ja\u017a\u0144, a potem obejrzyj jeszcze jeden film o mo\u015bcie.
\u041c\u043e\u0441\u0442 \u0441\u043e\u0435\u0434\u0438\u043d\u044f\u0435\u0442 \u0434\u0432\u0430 \u0431\u0435\u0440\u0435\u0433\u0430, \u0438 \u043f\u043e \u043d\u0435\u043c\u0443 \u0438\u0434\u0443\u0442 \u043b\u044e\u0434\u0438 \u0432 \u043e\u0431\u0435 \u0441\u0442\u043e\u0440\u043e\u043d\u044b.
\u041b\u044e\u0434\u0438, \u043a\u043e\u0442\u043e\u0440\u044b\u0435 \u0441\u043c\u043e\u0442\u0440\u0435\u043b\u0438 \u044d\u0442\u043e\u0442 \u0444\u0438\u043b\u044c\u043c, \u0441\u043c\u043e\u0442\u0440\u0435\u043b\u0438 \u0438 \u0434\u0440\u0443\u0433\u043e\u0439.
\u0397 \u03b3\u03ad\u03c6\u03c5\u03c1\u03b1 \u03b5\u03bd\u03ce\u03bd\u03b5\u03b9 \u03b4\u03cd\u03bf \u03cc\u03c7\u03b8\u03b5\u03c2, \u03ba\u03b1\u03b9 \u03bf\u03b9 \u03ac\u03bd\u03b8\u03c1\u03c9\u03c0\u03bf\u03b9 \u03c0\u03b5\u03c1\u03bd\u03bf\u03cd\u03bd.
\u0627\u0644\u062c\u0633\u0631 \u064a\u0631\u0628\u0637 \u0628\u064a\u0646 \u0627\u0644\u0636\u0641\u062a\u064a\u0646 \u0648\u0627\u0644\u0646\u0627\u0633 \u064a\u0639\u0628\u0631\u0648\u0646 \u0641\u064a \u0627\u0644\u0627\u062a\u062c\u0627\u0647\u064a\u0646.
\u6865\u8fde\u63a5\u4e24\u5cb8\uff0c\u4eba\u4eec\u5728\u6865\u4e0a\u6765\u6765\u5f80\u5f80\u3002\u4ed6\u4eec\u770b\u4e86\u4e24\u4e2a\u4e0a\u4e0b\u4e00\u4e0d\u4e16\u754c\u7684\u7535\u5f71\u3002
\u6a4b\u306f\u4e21\u5cb8\u3092\u7d50\u3076\u3002\u4eba\u3005\u306f\u6a4b\u306e\u4e0a\u3092\u884c\u304d\u6765\u3059\u308b\u3002\u3053\u308c\u306f\u30c6\u30b9\u30c8\u3067\u3059\u3002
\ub2e4\ub9ac\ub294 \ub450 \uac15\ubcc0\uc744 \uc774\uc5b4 \uc90d\ub2c8\ub2e4. \uc548\ub155\ud558\uc138\uc694.
""".strip().replace("\\n", "\n").split("\n")


def corpus():
    return CORPUS * 3 + [text for text in HARD if text]
