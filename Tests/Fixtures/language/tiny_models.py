"""How a tiny model is made: random weights, its folder, and what it computes."""

import json
import pathlib
import shutil
import sys

import torch
import transformers
from safetensors.torch import load_file, save_file

HERE = pathlib.Path(__file__).parent
torch.set_num_threads(1)
transformers.logging.set_verbosity_error()
VOCABULARY, TIME = 72, 10


def is_wanted(family):
    """Whether the family is to be made: all are if the command names none."""
    return len(sys.argv) == 1 or family in sys.argv[1:]


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
    if not is_wanted(family):
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
