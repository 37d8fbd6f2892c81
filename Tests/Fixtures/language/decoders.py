"""The decoders of all families; each has its own seed."""

from transformers import (
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

from tiny_models import VOCABULARY, decoder


def rope_theta_at_top(config):
    """`rope_parameters` (Transformers 5) spelled as `rope_theta` and `rope_scaling` (before)."""
    rope = config.pop("rope_parameters")
    config["rope_theta"] = rope.pop("rope_theta")
    config["rope_scaling"] = None if rope.get("rope_type") == "default" else rope


def window_layers_by_number(config):
    """`layer_types` (Transformers 5) left out: `max_window_layers` says the same."""
    rope_theta_at_top(config)
    del config["layer_types"]


SHARED = dict(
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


def llamas():
    decoder(
        "llama",
        LlamaForCausalLM(LlamaConfig(**SHARED, rms_norm_eps=1e-5, tie_word_embeddings=False)),
        100,
        rope_theta_at_top,
    )
    decoder(
        "llama_tied",
        LlamaForCausalLM(
            LlamaConfig(
                **SHARED,
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
        LlamaForCausalLM(LlamaConfig(**SHARED, rms_norm_eps=1e-5, tie_word_embeddings=False, rope_parameters=scaling)),
        300,
        rope_theta_at_top,
    )


def mistral_and_qwen():
    decoder(
        "mistral", MistralForCausalLM(MistralConfig(**SHARED, sliding_window=None, head_dim=6)), 400, rope_theta_at_top
    )
    decoder("mistral_window", MistralForCausalLM(MistralConfig(**SHARED, sliding_window=4, head_dim=6)), 500)
    decoder("qwen2", Qwen2ForCausalLM(Qwen2Config(**SHARED, tie_word_embeddings=True)), 600, rope_theta_at_top)
    decoder("qwen3", Qwen3ForCausalLM(Qwen3Config(**SHARED, head_dim=8, tie_word_embeddings=True)), 700)
    decoder(
        "qwen2_window",
        Qwen2ForCausalLM(
            Qwen2Config(
                **(SHARED | dict(num_hidden_layers=3)),
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
        Qwen3ForCausalLM(Qwen3Config(**SHARED, head_dim=8, tie_word_embeddings=True, rope_parameters=yarn)),
        710,
        rope_theta_at_top,
    )


def gemma_and_smollm():
    decoder(
        "gemma3",
        Gemma3ForCausalLM(
            Gemma3TextConfig(
                **(SHARED | dict(num_hidden_layers=3)),
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
                **(SHARED | dict(num_hidden_layers=4)),
                rms_norm_eps=1e-6,
                tie_word_embeddings=True,
            )
        ),
        770,
    )


def mixture():
    decoder(
        "qwen3_moe",
        Qwen3MoeForCausalLM(
            Qwen3MoeConfig(
                **(SHARED | dict(num_hidden_layers=3)),
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


def phis():
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
                    **SHARED,
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
                **(SHARED | dict(hidden_size=32)),
                partial_rotary_factor=0.75,
                sliding_window=None,
                tie_word_embeddings=True,
            )
        ),
        795,
        rope_theta_at_top,
    )


def gpt2():
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


def decoders():
    for family in (llamas, mistral_and_qwen, gemma_and_smollm, mixture, phis, gpt2):
        family()
