"""The weights of families' folders as GGUF files, laid out as llama.cpp's converter does it."""

import json
import math

import gguf
import numpy as np
import torch
from safetensors.torch import load_file

from tiny_models import HERE, is_wanted

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
    if not is_wanted(family):
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
