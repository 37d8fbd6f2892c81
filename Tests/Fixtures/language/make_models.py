"""Makes tiny random models of each architecture beside this file, as Hugging Face folders, with what they compute.

    python make_models.py [family…]

Made with Python 3.11, PyTorch 2.15.0, Transformers 5.23.0, PEFT 0.21.2, safetensors 0.8.0 (see versions.json).

Per family a folder with config.json, model.safetensors and reference.safetensors (float32, indices int32):
  input_ids [2, 10], logits [2, 10, vocabulary], loss (mean cross-entropy of the next token, labels = input_ids),
  gradient.<parameter> of that loss for every parameter under its name in model.safetensors (tied ones once).
BERT: input_ids, attention_mask (the second text is shorter), token_type_ids, last_hidden_state, upstream, and the
gradients of sum(last_hidden_state · upstream); positions that the mask excludes have zero upstream.
llama/lora: twenty AdamW steps of a LoRA adapter on the tiny Llama: initial and final adapter in PEFT's layout,
batches [20, 2, 10] (four that come again), losses [20] before each step.
llama_sharded: the weights of llama in several files with an index.
gemma3/model.gguf: the weights of gemma3 in float32 as llama.cpp's converter lays them out (norms as 1 + w).
qwen3_yarn/model.gguf: likewise, with the metadata of YaRN; qwen3_moe/model.gguf with the experts of a block in one tensor,
smollm3/model.gguf with reordered queries and keys, phi3/model.gguf with the divisors of LongRoPE as tensors.
phi3, phi4: the gradients of fused projections are stored in parts, under the names that LLaMA has for them.
qwen3_moe: those of the experts, which Transformers keeps in one tensor, likewise.

With names as arguments, only those families are made; the order of seeds makes them independent of each other.
"""

import importlib.metadata
import json
import math
import pathlib
import shutil
import sys

import gguf
import numpy as np
import torch
import transformers
from safetensors.torch import load_file, save_file
from transformers import (
    BertConfig,
    BertModel,
    Gemma3ForCausalLM,
    Gemma3TextConfig,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    Phi3Config,
    Phi3ForCausalLM,
    Qwen2Config,
    Qwen2ForCausalLM,
    Qwen3Config,
    Qwen3ForCausalLM,
    Qwen3MoeConfig,
    Qwen3MoeForCausalLM,
    SmolLM3Config,
    SmolLM3ForCausalLM,
)

HERE = pathlib.Path(__file__).parent
torch.set_num_threads(1)
transformers.logging.set_verbosity_error()
VOCABULARY, TIME = 72, 10


def randomise(model, seed):
    """Weights large enough for attention and gates to matter; norms around one."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            is_norm = "norm" in name.lower() or ".ln_" in name
            if name.endswith("bias"):
                parameter.copy_(0.1 * noise)
            elif is_norm:
                # Gemma's gains are 1 + w.
                parameter.copy_(0.2 * noise if "Gemma" in type(model).__name__ else 1 + 0.2 * noise)
            else:
                parameter.copy_(0.25 * noise)
    return model.eval()


def save(model, family):
    folder = HERE / family
    shutil.rmtree(folder, ignore_errors=True)
    model.save_pretrained(folder)
    (folder / "generation_config.json").unlink(missing_ok=True)
    config = json.loads((folder / "config.json").read_text())
    return folder, config


def write(folder, name, store):
    store = {
        key: (value.int() if value.dtype == torch.int64 else value).detach().contiguous().clone()
        for key, value in store.items()
    }
    save_file(store, folder / name)
    for path in folder.iterdir():
        if path.is_file():
            path.chmod(0o644)


def gradients(model, folder):
    """The gradients, under the names in the file that was saved."""
    saved = load_file(folder / "model.safetensors")
    found = {}
    for name, parameter in model.named_parameters():
        if name.endswith("mlp.experts.gate_up_proj"):
            for expert, both in enumerate(parameter.grad):
                for part, value in zip(("gate_proj", "up_proj"), both.chunk(2)):
                    found[name.replace("gate_up_proj", f"{expert}.{part}.weight")] = value
        elif name.endswith("mlp.experts.down_proj"):
            for expert, value in enumerate(parameter.grad):
                found[name.replace("down_proj", f"{expert}.down_proj.weight")] = value
        else:
            found[name] = parameter.grad
    assert set(found) == set(saved), set(found) ^ set(saved)
    return {f"gradient.{name}": value.clone() for name, value in parts_of_fused(found, model.config).items()}


def parts_of_fused(found, config):
    parts = {}
    for name, value in found.items():
        if name.endswith("qkv_proj.weight"):
            size = config.hidden_size // config.num_attention_heads
            heads = [config.num_attention_heads, config.num_key_value_heads, config.num_key_value_heads]
            for part, rows in zip("qkv", value.split([size * count for count in heads])):
                parts[name.replace("qkv_proj", f"{part}_proj")] = rows
        elif name.endswith("gate_up_proj.weight"):
            for part, rows in zip(("gate_proj", "up_proj"), value.chunk(2)):
                parts[name.replace("gate_up_proj", part)] = rows
        else:
            parts[name] = value
    return parts


def decoder(family, model, seed, old_config=None):
    """Saves one decoder; `old_config` edits config.json into the spelling that files in the wild mostly have."""
    if len(sys.argv) > 1 and family not in sys.argv[1:]:
        return
    randomise(model, seed)
    folder, config = save(model, family)
    if old_config:
        old_config(config)
        (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    again = type(model).from_pretrained(folder, attn_implementation="eager")
    ids = torch.randint(0, VOCABULARY, (2, TIME), generator=torch.Generator().manual_seed(seed + 1))
    output = again(input_ids=ids, labels=ids, use_cache=False)
    output.loss.backward()
    write(
        folder,
        "reference.safetensors",
        dict(input_ids=ids, logits=output.logits, loss=output.loss, **gradients(again, folder)),
    )
    print(family, sum(p.numel() for p in again.parameters()), "parameters, loss", output.loss.item())


def rope_theta_at_top(config):
    """`rope_parameters` (Transformers 5) spelled as `rope_theta` and `rope_scaling` (before)."""
    rope = config.pop("rope_parameters")
    config["rope_theta"] = rope.pop("rope_theta")
    config["rope_scaling"] = None if rope.get("rope_type") == "default" else rope


def window_layers_by_number(config):
    """`layer_types` (Transformers 5) left out: `max_window_layers` says the same."""
    rope_theta_at_top(config)
    del config["layer_types"]


# Per architecture: the metadata's prefix, and the GGUF names of a block's tensors.
GGUF_BLOCK = {
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "self_attn.q_norm": "attn_q_norm",
    "self_attn.k_norm": "attn_k_norm",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
    "input_layernorm": "attn_norm",
    "mlp.gate": "ffn_gate_inp",
    "self_attn.qkv_proj": "attn_qkv",
    "mlp.gate_up_proj": "ffn_up",
}
TWO_NORMS = {"post_attention_layernorm": "ffn_norm"}
GGUF_NORMS = {
    "qwen3": TWO_NORMS,
    "qwen3moe": TWO_NORMS,
    "smollm3": TWO_NORMS,
    "phi3": TWO_NORMS,
    "gemma3": {
        "post_attention_layernorm": "post_attention_norm",
        "pre_feedforward_layernorm": "ffn_norm",
        "post_feedforward_layernorm": "post_ffw_norm",
    },
}


def gguf_file(family, architecture, extra):
    """Writes the weights of a family's folder as a GGUF file; `extra` adds metadata of the architecture."""
    if len(sys.argv) > 1 and family not in sys.argv[1:]:
        return
    folder = HERE / family
    config = json.loads((folder / "config.json").read_text())
    writer = gguf.GGUFWriter(folder / "model.gguf", architecture)
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(config["num_attention_heads"])
    writer.add_head_count_kv(config["num_key_value_heads"])
    head_size = config.get("head_dim") or config["hidden_size"] // config["num_attention_heads"]
    writer.add_key_length(head_size)
    writer.add_value_length(head_size)
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    extra(writer)
    names = GGUF_BLOCK | GGUF_NORMS[architecture]
    weights = load_file(folder / "model.safetensors")
    for name in [name for name in weights if ".experts.0." in name]:
        count = config["num_local_experts"]
        experts = [weights.pop(name.replace("experts.0.", f"experts.{index}.")) for index in range(count)]
        layer, part = name.split(".")[2], name.split(".")[6].removesuffix("_proj")
        writer.add_tensor(f"blk.{layer}.ffn_{part}_exps.weight", torch.stack(experts).numpy())
    for name, value in weights.items():
        if architecture == "smollm3" and (".q_proj." in name or ".k_proj." in name):
            value = value.view(-1, 2, head_size // 2, value.shape[1]).transpose(1, 2).reshape(value.shape).contiguous()
        if architecture == "gemma3" and "norm" in name:
            value = value + 1
        if name.endswith("q_norm.weight") and "query_pre_attn_scalar" in config:
            # Readers scale by the head's size: the norm of the queries takes the difference.
            value = value * (config["head_dim"] / config["query_pre_attn_scalar"]) ** 0.5
        if name.startswith("model.layers."):
            _, _, layer, part = name.removesuffix(".weight").split(".", 3)
            name = f"blk.{layer}.{names[part]}.weight"
        else:
            name = {
                "model.embed_tokens.weight": "token_embd.weight",
                "model.norm.weight": "output_norm.weight",
                "lm_head.weight": "output.weight",
            }[name]
        writer.add_tensor(name, value.numpy())
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def gguf_files():
    def gemma3(writer):
        writer.add_rope_freq_base(1000000.0)
        writer.add_sliding_window(4)
        writer.add_uint32("gemma3.attention.sliding_window_pattern", 2)
        writer.add_rope_scaling_type(gguf.RopeScalingType.LINEAR)
        writer.add_rope_scaling_factor(2.0)

    def yarn(writer):
        writer.add_rope_freq_base(10000.0)
        writer.add_rope_scaling_type(gguf.RopeScalingType.YARN)
        writer.add_rope_scaling_factor(4.0)
        writer.add_rope_scaling_orig_ctx_len(16)

    def moe(writer):
        writer.add_rope_freq_base(10000.0)
        writer.add_expert_count(6)
        writer.add_expert_used_count(2)
        writer.add_expert_feed_forward_length(12)

    def phi3(writer):
        writer.add_rope_freq_base(10000.0)
        writer.add_rope_dimension_count(6)
        writer.add_sliding_window(6)
        writer.add_rope_scaling_orig_ctx_len(32)
        writer.add_rope_scaling_attn_factors((1 + math.log(64 / 32) / math.log(32)) ** 0.5)
        writer.add_tensor("rope_factors_short.weight", np.array([1.0, 1.1, 1.3], dtype=np.float32))
        writer.add_tensor("rope_factors_long.weight", np.array([1.5, 2.5, 4.0], dtype=np.float32))

    gguf_file("qwen3_moe", "qwen3moe", moe)
    gguf_file("smollm3", "smollm3", lambda writer: writer.add_rope_freq_base(2000000.0))
    gguf_file("phi3", "phi3", phi3)
    gguf_file("gemma3", "gemma3", gemma3)
    gguf_file("qwen3_yarn", "qwen3", yarn)


def decoders():
    shared = dict(
        vocab_size=VOCABULARY,
        hidden_size=24,
        intermediate_size=40,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=64,
        attn_implementation="eager",
        bos_token_id=1,
        eos_token_id=2,
        pad_token_id=None,
    )
    decoder(
        "llama",
        LlamaForCausalLM(LlamaConfig(**shared, rms_norm_eps=1e-5, tie_word_embeddings=False)),
        100,
        rope_theta_at_top,
    )
    decoder(
        "llama_tied",
        LlamaForCausalLM(
            LlamaConfig(
                **shared,
                rms_norm_eps=1e-5,
                tie_word_embeddings=True,
                rope_parameters=dict(rope_type="default", rope_theta=100000.0),
            )
        ),
        200,
    )
    scaling = dict(
        rope_type="llama3",
        rope_theta=10000.0,
        factor=8.0,
        low_freq_factor=1.0,
        high_freq_factor=4.0,
        original_max_position_embeddings=16,
    )
    decoder(
        "llama3",
        LlamaForCausalLM(LlamaConfig(**shared, rms_norm_eps=1e-5, tie_word_embeddings=False, rope_parameters=scaling)),
        300,
        rope_theta_at_top,
    )
    decoder(
        "mistral", MistralForCausalLM(MistralConfig(**shared, sliding_window=None, head_dim=6)), 400, rope_theta_at_top
    )
    decoder("mistral_window", MistralForCausalLM(MistralConfig(**shared, sliding_window=4, head_dim=6)), 500)
    decoder("qwen2", Qwen2ForCausalLM(Qwen2Config(**shared, tie_word_embeddings=True)), 600, rope_theta_at_top)
    decoder("qwen3", Qwen3ForCausalLM(Qwen3Config(**shared, head_dim=8, tie_word_embeddings=True)), 700)
    decoder(
        "qwen2_window",
        Qwen2ForCausalLM(
            Qwen2Config(
                **(shared | dict(num_hidden_layers=3)),
                tie_word_embeddings=True,
                use_sliding_window=True,
                sliding_window=4,
                max_window_layers=1,
            )
        ),
        610,
        window_layers_by_number,
    )
    yarn = dict(rope_type="yarn", rope_theta=10000.0, factor=4.0, original_max_position_embeddings=16)
    decoder(
        "qwen3_yarn",
        Qwen3ForCausalLM(Qwen3Config(**shared, head_dim=8, tie_word_embeddings=True, rope_parameters=yarn)),
        710,
        rope_theta_at_top,
    )
    decoder(
        "gemma3",
        Gemma3ForCausalLM(
            Gemma3TextConfig(
                **(shared | dict(num_hidden_layers=3)),
                head_dim=8,
                query_pre_attn_scalar=10,
                sliding_window=4,
                layer_types=["sliding_attention", "full_attention", "sliding_attention"],
                rope_parameters=dict(
                    full_attention=dict(rope_type="linear", rope_theta=1000000.0, factor=2.0),
                    sliding_attention=dict(rope_type="default", rope_theta=10000.0),
                ),
            )
        ),
        750,
    )
    decoder(
        "smollm3",
        SmolLM3ForCausalLM(
            SmolLM3Config(
                **(shared | dict(num_hidden_layers=4)),
                rms_norm_eps=1e-6,
                tie_word_embeddings=True,
            )
        ),
        770,
    )
    decoder(
        "qwen3_moe",
        Qwen3MoeForCausalLM(
            Qwen3MoeConfig(
                **(shared | dict(num_hidden_layers=3)),
                head_dim=8,
                moe_intermediate_size=12,
                num_experts=6,
                num_experts_per_tok=2,
                norm_topk_prob=True,
                mlp_only_layers=[1],
            )
        ),
        780,
    )
    for family, original, seed in [("phi3", 32, 790), ("phi3_long", 8, 791)]:
        longrope = dict(
            rope_type="longrope",
            rope_theta=10000.0,
            short_factor=[1.0, 1.1, 1.3],
            long_factor=[1.5, 2.5, 4.0],
        )
        decoder(
            family,
            Phi3ForCausalLM(
                Phi3Config(
                    **shared,
                    rope_parameters=longrope,
                    original_max_position_embeddings=original,
                    sliding_window=6,
                    tie_word_embeddings=False,
                )
            ),
            seed,
        )
    decoder(
        "phi4",
        Phi3ForCausalLM(
            Phi3Config(
                **(shared | dict(hidden_size=32)),
                partial_rotary_factor=0.75,
                sliding_window=None,
                tie_word_embeddings=True,
            )
        ),
        795,
        rope_theta_at_top,
    )
    decoder(
        "gpt2",
        GPT2LMHeadModel(
            GPT2Config(
                vocab_size=VOCABULARY,
                n_positions=32,
                n_embd=24,
                n_layer=2,
                n_head=4,
                resid_pdrop=0,
                embd_pdrop=0,
                attn_pdrop=0,
                bos_token_id=0,
                eos_token_id=0,
                attn_implementation="eager",
            )
        ),
        800,
    )


def bert():
    model = BertModel(
        BertConfig(
            vocab_size=VOCABULARY,
            hidden_size=24,
            intermediate_size=40,
            num_hidden_layers=2,
            num_attention_heads=4,
            max_position_embeddings=32,
            hidden_dropout_prob=0,
            attention_probs_dropout_prob=0,
            attn_implementation="eager",
        ),
        add_pooling_layer=False,
    )
    randomise(model, 900)
    folder, _ = save(model, "bert")
    generator = torch.Generator().manual_seed(901)
    ids = torch.randint(1, VOCABULARY, (2, TIME), generator=generator)
    mask, types = torch.ones_like(ids), torch.zeros_like(ids)
    mask[1, 6:], types[0, 5:] = 0, 1
    ids[1, 6:] = 0
    states = model(input_ids=ids, attention_mask=mask, token_type_ids=types).last_hidden_state
    upstream = torch.randn(states.shape, generator=generator) * mask[..., None]
    (states * upstream).sum().backward()
    write(
        folder,
        "reference.safetensors",
        dict(
            input_ids=ids,
            attention_mask=mask,
            token_type_ids=types,
            last_hidden_state=states,
            upstream=upstream,
            **gradients(model, folder),
        ),
    )
    print("bert", sum(p.numel() for p in model.parameters()), "parameters")


def sharded():
    folder = HERE / "llama_sharded"
    shutil.rmtree(folder, ignore_errors=True)
    LlamaForCausalLM.from_pretrained(HERE / "llama").save_pretrained(folder, max_shard_size="20KB")
    (folder / "generation_config.json").unlink(missing_ok=True)
    shutil.copy(HERE / "llama" / "config.json", folder / "config.json")
    for path in folder.iterdir():
        path.chmod(0o644)


def lora():
    from peft import LoraConfig, get_peft_model

    torch.manual_seed(1000)
    base = LlamaForCausalLM.from_pretrained(HERE / "llama", attn_implementation="eager")
    model = get_peft_model(
        base,
        LoraConfig(r=4, lora_alpha=8, lora_dropout=0.0, target_modules=["q_proj", "v_proj"], task_type="CAUSAL_LM"),
    )
    folder = HERE / "llama" / "lora"

    def keep(name):
        model.save_pretrained(folder / name)
        (folder / name / "README.md").unlink(missing_ok=True)
        path = folder / name / "adapter_config.json"
        config = json.loads(path.read_text())
        config["base_model_name_or_path"] = "llama"
        path.write_text(json.dumps(config, indent=2) + "\n")
        for file in (folder / name).iterdir():
            file.chmod(0o644)

    keep("initial")
    batches = torch.randint(0, VOCABULARY, (4, 2, TIME), generator=torch.Generator().manual_seed(1001)).repeat(5, 1, 1)
    settings = dict(lr=1e-2, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.01)
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], foreach=False, **settings)
    losses, store = [], dict(batches=batches)
    for step, batch in enumerate(batches):
        optimizer.zero_grad()
        loss = model(input_ids=batch, labels=batch, use_cache=False).loss
        loss.backward()
        if step == 0:
            store |= {
                f"gradient.{name.replace('.default', '')}": p.grad.clone()
                for name, p in model.named_parameters()
                if p.requires_grad
            }
        optimizer.step()
        losses.append(loss.detach())
    model.eval()
    store |= dict(losses=torch.stack(losses), logits=model(input_ids=batches[0]).logits)
    keep("final")
    write(folder, "reference.safetensors", store)
    (folder / "run.json").write_text(
        json.dumps(
            dict(
                steps=20,
                optimizer="AdamW",
                **settings,
                rank=4,
                alpha=8,
                target_modules=["q_proj", "v_proj"],
                note="gradient.*: of the first step; logits: of the first batch under the final adapter",
            ),
            indent=2,
        )
        + "\n"
    )
    print("lora", [round(float(loss), 4) for loss in losses[::5]], "→", round(float(losses[-1]), 4))


decoders()
gguf_files()
if len(sys.argv) == 1:
    bert()
    sharded()
    lora()
    versions = {name: importlib.metadata.version(name) for name in ("torch", "transformers", "peft", "safetensors")}
    (HERE / "versions.json").write_text(json.dumps(versions) + "\n")
