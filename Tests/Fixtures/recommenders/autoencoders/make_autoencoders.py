"""Makes autoencoders.safetensors and .json beside this file: steps of variational autoencoders, in plain PyTorch.

    python make_autoencoders.py

Made with Python 3.11, PyTorch 2.15.0, safetensors 0.8.0; the versions used are stored in autoencoders.json, with what each
case computes. What the tensors are called is said in ../step_cases.py; the input layer's weight is [items, hidden]. `inputs` are the
users' rows at unit length under dropout, `noise` is ε. After RecBole 1.2.1's definitions, ε of deviation 1 as in the papers.
"""

import math
import pathlib
import sys

import torch
import torch.nn.functional as F

HERE = pathlib.Path(__file__).parent
sys.path.append(str(HERE.parent))
from step_cases import DENSE, ITEMS, case, generator, normal, write

BATCH, HIDDEN, LATENT = 5, 6, 3


def rows():
    """The rows of the first users at unit length, whole and under dropout of 0.4."""
    whole = F.normalize(DENSE[:BATCH].double(), dim=-1)
    kept = torch.rand(BATCH, ITEMS, generator=generator) >= 0.4
    return dict(inputs=(whole * kept / 0.6).float(), noise=normal(BATCH, LATENT, scale=1.0))


def linear(name, inputs, outputs):
    return {f"{name}.weight": normal(outputs, inputs), f"{name}.bias": normal(outputs, scale=0.1)}


def apply(p, name, x):
    return F.linear(x, p[name + ".weight"], p[name + ".bias"])


def unit_rows(p):
    dtype = next(iter(p.values())).dtype
    # The package keeps the values of sparse rows in float32.
    return F.normalize(DENSE.double(), dim=-1).float().to(dtype)


def targets(p):
    return DENSE[:BATCH].to(next(iter(p.values())).dtype)


def mult_vae():
    parameters = {"input.weight": normal(ITEMS, HIDDEN), "input.bias": normal(HIDDEN, scale=0.1)}
    parameters |= linear("encoder.0", HIDDEN, 4) | linear("encoder.1", 4, 2 * LATENT)
    parameters |= linear("decoder.0", LATENT, 4) | linear("decoder.1", 4, HIDDEN) | linear("output", HIDDEN, ITEMS)

    def encoded(p, x):
        x = torch.tanh(x @ p["input.weight"] + p["input.bias"])
        return apply(p, "encoder.1", torch.tanh(apply(p, "encoder.0", x))).chunk(2, -1)

    def decoded(p, z):
        return apply(p, "output", torch.tanh(apply(p, "decoder.1", torch.tanh(apply(p, "decoder.0", z)))))

    def loss(p, b):
        mean, logvar = encoded(p, b["inputs"])
        logits = decoded(p, mean + torch.exp(0.5 * logvar) * b["noise"])
        likelihood = (F.log_softmax(logits, -1) * targets(p)).sum(-1).mean()
        divergence = -0.5 * (1 + logvar - mean.pow(2) - logvar.exp()).sum(-1).mean()
        return 0.3 * divergence - likelihood

    case(
        "multvae",
        parameters,
        rows(),
        loss,
        lambda p, b: decoded(p, encoded(p, unit_rows(p))[0]),
        "Liang et al. 2018: hidden layers 6 and 4, z of width 3, tanh between layers; multinomial loss + 0.3 · KL. Scores: the logits of μ.",
    )


def rec_vae_parameters():
    parameters = {
        "encoder.input.weight": normal(ITEMS, HIDDEN),
        "encoder.input.bias": normal(HIDDEN, scale=0.1),
    }
    for layer in range(4):
        parameters |= linear(f"encoder.layers.{layer}", HIDDEN, HIDDEN)
    for layer in range(5):
        parameters[f"encoder.norms.{layer}.weight"] = 1 + normal(HIDDEN, scale=0.2)
        parameters[f"encoder.norms.{layer}.bias"] = normal(HIDDEN, scale=0.1)
    return parameters | linear("encoder.mean", HIDDEN, LATENT) | linear("encoder.logvar", HIDDEN, LATENT) | linear("decoder", LATENT, ITEMS)


def rec_vae():
    def encoded(p, x):
        norm = lambda x, layer: F.layer_norm(
            x, (HIDDEN,), p[f"encoder.norms.{layer}.weight"], p[f"encoder.norms.{layer}.bias"], 0.1
        )
        states = [norm(F.silu(x @ p["encoder.input.weight"] + p["encoder.input.bias"]), 0)]
        for layer in range(4):
            states.append(norm(F.silu(apply(p, f"encoder.layers.{layer}", states[-1]) + sum(states)), layer + 1))
        return apply(p, "encoder.mean", states[-1]), apply(p, "encoder.logvar", states[-1])

    def density(x, mean, logvar):
        return -0.5 * (logvar + math.log(2 * math.pi) + (x - mean).pow(2) / logvar.exp())

    def likelihood(logits, p):
        return (F.log_softmax(logits, -1) * targets(p)).sum(-1).mean()

    def encoder_loss(p, b):
        mean, logvar = encoded(p, b["inputs"])
        z = mean + torch.exp(0.5 * logvar) * b["noise"]
        logits = F.linear(z, p["decoder.weight"].detach(), p["decoder.bias"].detach())
        zero = torch.zeros_like(z)
        parts = [density(z, zero, zero), density(z, b["former_mean"], b["former_logvar"]), density(z, zero, zero + 10)]
        prior = torch.stack([part + math.log(weight) for part, weight in zip(parts, (0.15, 0.75, 0.1))], -1).logsumexp(-1)
        divergence = ((density(z, mean, logvar) - prior).sum(-1) * 0.05 * targets(p).sum(-1)).mean()
        return divergence - likelihood(logits, p)

    def decoder_loss(p, b):
        with torch.no_grad():
            mean, logvar = encoded(p, unit_rows(p)[:BATCH])
        return -likelihood(apply(p, "decoder", mean + torch.exp(0.5 * logvar) * b["noise"]), p)

    former = dict(former_mean=normal(BATCH, LATENT), former_logvar=normal(BATCH, LATENT))
    scores = lambda p, b: apply(p, "decoder", encoded(p, unit_rows(p))[0])
    case(
        "recvae_encoder",
        rec_vae_parameters(),
        dict(rows(), **former),
        encoder_loss,
        scores,
        "Shenbin et al. 2020: the encoder's step, decoder fixed; γ 0.05, prior of weights .15 .75 .1 with former_mean and former_logvar "
        "as what the encoder said an epoch before. Scores: the logits of μ.",
    )
    case(
        "recvae_decoder",
        rec_vae_parameters(),
        dict(noise=normal(BATCH, LATENT, scale=1.0)),
        decoder_loss,
        scores,
        "The decoder's step, encoder fixed and without dropout.",
    )


mult_vae()
rec_vae()
write(HERE, "autoencoders")
