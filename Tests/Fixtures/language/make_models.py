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
import shutil
import sys

import torch
from transformers import BertConfig, BertModel, LlamaForCausalLM

from decoders import decoders
from gguf_models import gguf_files
from tiny_models import HERE, TIME, VOCABULARY, gradients, randomise, save, write


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
