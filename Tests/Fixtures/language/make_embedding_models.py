"""Makes tiny random embedding models beside this file, in folders as their publishers lay them out, with the vectors that
sentence-transformers makes of some texts.

    python make_embedding_models.py [family…]

Made with Python 3.11, PyTorch 2.15.0, Transformers 5.24.0, sentence-transformers 6.2.0, tokenizers 0.23.3, safetensors
0.8.0 (see each reference.json).

bge: BERT, the first token, normalised. e5: BERT, the mean, normalised. qwen3_embedding: Qwen3, the last token, normalised.
embeddinggemma: Gemma 3 in both directions, the mean, two linear layers, normalised. sentence_layers: BERT, the mean, then
normalisation and three linear layers with activations, saved by sentence-transformers itself in its present spelling.

Per family a folder with the model's files, and
  reference.json         versions, texts, and per case its name, the prompt before every text and the texts' ids;
  reference.safetensors  vectors.<case> [texts, width], of the texts in batches of three;
                         embeddinggemma also upstream [texts, width] and gradient.<parameter> of
                         sum(vectors.query · upstream): under the names in model.safetensors, and 2.linear.weight,
                         3.linear.weight for the linear layers.

With names as arguments, only those families are made; each has its own seed.
"""

import importlib.metadata
import json
import shutil

import torch
from safetensors.torch import save_file
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Dense, Normalize, Pooling, Transformer
from transformers import AutoConfig, AutoModel

from embedding_tokenizers import TEXTS, byte_level, sentence_piece, word_piece
from tiny_models import HERE, is_wanted, randomise, write

PACKAGES = ("torch", "transformers", "sentence-transformers", "tokenizers", "safetensors")
BERT = dict(
    architectures=["BertModel"],
    attention_probs_dropout_prob=0.1,
    hidden_act="gelu",
    hidden_dropout_prob=0.1,
    hidden_size=24,
    intermediate_size=32,
    layer_norm_eps=1e-12,
    max_position_embeddings=128,
    model_type="bert",
    num_attention_heads=4,
    num_hidden_layers=2,
    pad_token_id=0,
    position_embedding_type="absolute",
    type_vocab_size=2,
    use_cache=True,
)
QWEN3 = dict(
    architectures=["Qwen3ForCausalLM"],
    attention_bias=False,
    attention_dropout=0.0,
    head_dim=8,
    hidden_act="silu",
    hidden_size=24,
    intermediate_size=32,
    max_position_embeddings=160,
    max_window_layers=2,
    model_type="qwen3",
    num_attention_heads=4,
    num_hidden_layers=2,
    num_key_value_heads=2,
    rms_norm_eps=1e-06,
    rope_scaling=None,
    rope_theta=1000000,
    sliding_window=None,
    tie_word_embeddings=True,
    use_sliding_window=False,
)
GEMMA = dict(
    _sliding_window_pattern=3,
    architectures=["Gemma3TextModel"],
    attention_bias=False,
    attention_dropout=0.0,
    attn_logit_softcapping=None,
    bos_token_id=2,
    eos_token_id=1,
    final_logit_softcapping=None,
    head_dim=8,
    hidden_activation="gelu_pytorch_tanh",
    hidden_size=18,
    intermediate_size=24,
    layer_types=["sliding_attention", "sliding_attention", "full_attention", "sliding_attention"],
    max_position_embeddings=96,
    model_type="gemma3_text",
    num_attention_heads=3,
    num_hidden_layers=4,
    num_key_value_heads=1,
    pad_token_id=0,
    query_pre_attn_scalar=8,
    rms_norm_eps=1e-06,
    rope_local_base_freq=10000.0,
    rope_scaling=None,
    rope_theta=1000000.0,
    sliding_window=8,
    use_bidirectional_attention=True,
    use_cache=True,
)
LEGACY = "sentence_transformers.models."


def save_json(path, value):
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(value, indent=2) + "\n")


def backbone(family, config, tokenizer, seed):
    """A folder with a random model and its tokenizer."""
    folder = HERE / family
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    tokenizer, settings = tokenizer
    tokenizer.save(str(folder / "tokenizer.json"), pretty=False)
    save_json(folder / "tokenizer_config.json", settings)
    save_json(folder / "config.json", config | dict(vocab_size=tokenizer.get_vocab_size(), dtype="float32"))
    model = randomise(AutoModel.from_config(AutoConfig.from_pretrained(folder)), seed)
    tensors = {name: tensor.contiguous().clone() for name, tensor in model.state_dict().items()}
    save_file(tensors, folder / "model.safetensors", metadata=dict(format="pt"))
    return folder


def modules(folder, pooling, dense=(), length=None, lowercase=False, prompts=None):
    """The other files of a folder as releases before 6 spell them; `dense` are the widths and the seed of linear layers."""
    width = json.loads((folder / "config.json").read_text())["hidden_size"]
    names = ["Transformer", "Pooling", *("Dense" for _ in dense), "Normalize"]
    parts = [
        dict(idx=index, name=str(index), path=f"{index}_{name}" if index else "", type=LEGACY + name)
        for index, name in enumerate(names)
    ]
    save_json(folder / "modules.json", parts)
    modes = ["cls_token", "mean_tokens", "max_tokens", "mean_sqrt_len_tokens", "weightedmean_tokens", "lasttoken"]
    flags = {f"pooling_mode_{mode}": mode == pooling for mode in modes}
    save_json(folder / "1_Pooling/config.json", dict(word_embedding_dimension=width, **flags, include_prompt=True))
    for index, (outputs, seed) in enumerate(dense, start=2):
        place = folder / f"{index}_Dense"
        identity = "torch.nn.modules.linear.Identity"
        settings = dict(in_features=width, out_features=outputs, bias=False, activation_function=identity)
        save_json(place / "config.json", settings)
        weight = 0.25 * torch.randn(outputs, width, generator=torch.Generator().manual_seed(seed))
        save_file({"linear.weight": weight}, place / "model.safetensors", metadata=dict(format="pt"))
        width = outputs
    if length:
        save_json(folder / "sentence_bert_config.json", dict(max_seq_length=length, do_lower_case=lowercase))
    versions = dict(sentence_transformers="5.1.0", transformers="4.57.0", pytorch="2.8.0")
    settings = dict(__version__=versions, prompts=prompts or {}, default_prompt_name=None, similarity_fn_name="cosine")
    save_json(folder / "config_sentence_transformers.json", settings)


def gradients(encoder, prompt, width, seed):
    """Of the model and the linear layers, by a batch of all texts."""
    upstream = torch.randn(len(TEXTS), width, generator=torch.Generator().manual_seed(seed))
    vectors = encoder(encoder.preprocess(TEXTS, prompt=prompt))["sentence_embedding"]
    (vectors * upstream).sum().backward()
    found = {f"gradient.{name}": p.grad for name, p in encoder[0].auto_model.named_parameters()}
    for index, module in enumerate(encoder):
        if isinstance(module, Dense):
            found[f"gradient.{index}.linear.weight"] = module.linear.weight.grad
    return dict(upstream=upstream, **found)


def reference(folder, cases, gradient_seed=None):
    encoder = SentenceTransformer(str(folder), device="cpu", model_kwargs=dict(attn_implementation="eager"))
    encoder.eval()
    store, described = {}, []
    for name, prompt in cases.items():
        # A prompt of the model's files is asked for by its name.
        text = encoder.prompts[prompt] if prompt in encoder.prompts else prompt
        vectors = encoder.encode(TEXTS, prompt=text, batch_size=3, convert_to_tensor=True)
        store[f"vectors.{name}"] = vectors
        ids = [encoder.preprocess([one], prompt=text)["input_ids"][0].tolist() for one in TEXTS]
        described.append(dict(name=name, prompt=text, ids=ids))
        print(folder.name, name, list(vectors.shape), [len(row) for row in ids])
    if gradient_seed is not None:
        store |= gradients(encoder, described[0]["prompt"], store["vectors.query"].shape[1], gradient_seed)
    versions = {package: importlib.metadata.version(package) for package in PACKAGES}
    text = json.dumps(dict(versions=versions, texts=TEXTS, cases=described), ensure_ascii=False)
    (folder / "reference.json").write_text(text.replace('{"name"', '\n{"name"') + "\n")
    write(folder, "reference.safetensors", store)
    for path in folder.rglob("*"):
        path.chmod(0o755 if path.is_dir() else 0o644)


def bge():
    folder = backbone("bge", BERT, word_piece(), 1100)
    modules(folder, "cls_token", length=96, lowercase=True)
    reference(folder, dict(query="Represent this sentence for searching relevant passages: ", document=""))


def e5():
    folder = backbone("e5", BERT, word_piece(), 1110)
    modules(folder, "mean_tokens", length=128)
    reference(folder, dict(query="query: ", document="passage: "))


def qwen3_embedding():
    folder = backbone("qwen3_embedding", QWEN3, byte_level(), 1120)
    query = "Instruct: Given a web search query, retrieve relevant passages that answer the query\nQuery:"
    modules(folder, "lasttoken", prompts=dict(query=query, document=""))
    reference(folder, dict(query="query", document="document"))


def embeddinggemma():
    folder = backbone("embeddinggemma", GEMMA, sentence_piece(), 1130)
    prompts = dict(
        query="task: search result | query: ",
        document="title: none | text: ",
        Clustering="task: clustering | query: ",
    )
    modules(folder, "mean_tokens", dense=[(32, 1131), (20, 1132)], length=96, prompts=prompts)
    reference(folder, dict(query="query", document="document", clustering="Clustering"), gradient_seed=1133)


def sentence_layers():
    source = backbone("sentence_layers", BERT, word_piece(), 1140)
    activations = torch.nn.Tanh(), torch.nn.GELU(), torch.nn.ReLU()
    widths = 24, 20, 12, 16
    torch.manual_seed(1141)
    parts = [Transformer(str(source), max_seq_length=40), Pooling(24), Normalize()]
    for index, activation in enumerate(activations):
        inputs, outputs = widths[index : index + 2]
        parts.append(Dense(inputs, outputs, bias=index != 1, activation_function=activation))
    encoder = SentenceTransformer(modules=parts, device="cpu", prompts=dict(query="query: ", document=""))
    shutil.rmtree(source)
    encoder.save_pretrained(str(source), create_model_card=False)
    reference(source, dict(query="query", document=""))


for make in (bge, e5, qwen3_embedding, embeddinggemma, sentence_layers):
    if is_wanted(make.__name__):
        make()
