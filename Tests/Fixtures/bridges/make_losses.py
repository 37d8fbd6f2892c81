"""Makes the fixtures of the bridges' losses beside this file, from PyTorch on the CPU in float64.

    python make_losses.py

losses.safetensors: per case `<case>.<input>`, the loss `<case>.loss` and the gradient `<case>.d.<input>` of every input that
is trained. Formulas are written after the publications' code:

tie            CLLM4Rec: the squared distance of a tower's token rows from the other's, summed
multinomial    CLLM4Rec: -mean over users of sum of counts * log_softmax
contrast       RLMRec, contrastive: cal_infonce_loss with all profiles (rows normalised)
reconstruction RLMRec, generative: the same among the batch's own rows
answer         CoLLM: BCEWithLogits on the last state's product with the row of "Yes"
alignment      A-LLMRec: MSE of codes + .5 MSE of items + .2 MSE of texts
distillation   DLLM2Rec: -sum of weights * logsigmoid, mean over users
divergence     LLMD4Rec: tau^2 * weighted KL, batch mean
quantizer      LC-Rec: residual vector quantisation, two levels, beta .25, straight through; also `.codes` and `.output`
"""

import pathlib

import torch
import torch.nn.functional as F
from safetensors.torch import save_file

HERE = pathlib.Path(__file__).parent
torch.set_num_threads(1)
torch.set_default_dtype(torch.float64)
generator = torch.Generator().manual_seed(20240613)
store = {}


def normal(*shape):
    return torch.randn(*shape, generator=generator)


def case(name, formula, trained, fixed=None):
    inputs = {key: value.clone().requires_grad_() for key, value in trained.items()}
    fixed = fixed or {}
    result = formula(**inputs, **fixed)
    loss, extras = result if isinstance(result, tuple) else (result, {})
    loss.backward()
    for key, value in inputs.items():
        store[f"{name}.{key}"] = value.detach()
        store[f"{name}.d.{key}"] = value.grad
    for key, value in {**fixed, **extras}.items():
        store[f"{name}.{key}"] = value.detach()
    store[f"{name}.loss"] = loss.detach()


def contrast(anchors, positives, rows):
    a, p, r = (x / torch.sqrt(1e-24 + x.square().sum(-1, keepdim=True)) for x in (anchors, positives, rows))
    numerator = (a * p / 0.2).sum(-1)
    denominator = torch.log(torch.exp(a @ r.T / 0.2).sum(-1))
    return (denominator - numerator).mean()


def alignment(items, texts, decoded_items, decoded_texts, item_rows, text_rows):
    mse = F.mse_loss
    return mse(items, texts) + 0.5 * mse(decoded_items, item_rows) + 0.2 * mse(decoded_texts, text_rows)


def quantizer(x, first, second):
    residual, output, losses, codes = x, torch.zeros_like(x), [], []
    for book in (first, second):
        code = torch.cdist(residual, book).square().argmin(-1)
        chosen = book[code]
        losses.append(F.mse_loss(chosen, residual.detach()) + 0.25 * F.mse_loss(chosen.detach(), residual))
        passed = residual + (chosen - residual).detach()
        residual = residual - passed
        output = output + passed
        codes.append(code)
    loss = torch.stack(losses).mean()
    # The output's gradient goes straight through: part of the loss here, so that it is seen.
    extra = (output * weights).sum()
    return loss + extra, dict(codes=torch.stack(codes, -1).int(), output=output, quantized_loss=loss, weights=weights)


case("tie", lambda own, peer: F.mse_loss(own, peer, reduction="sum"), dict(own=normal(5, 4)), dict(peer=normal(5, 4)))
counts = (normal(3, 7) > 0.3).double()
case(
    "multinomial",
    lambda logits, counts: -(F.log_softmax(logits, -1) * counts).sum(-1).mean(),
    dict(logits=normal(3, 7)),
    dict(counts=counts),
)
case("contrast", contrast, dict(anchors=normal(4, 6), positives=normal(4, 6), rows=normal(9, 6)))
anchors, positives = normal(4, 6), normal(4, 6)
case(
    "reconstruction",
    lambda anchors, positives: contrast(anchors, positives, positives),
    dict(anchors=anchors, positives=positives),
)
case(
    "answer",
    lambda states, row, labels: F.binary_cross_entropy_with_logits(states @ row, labels),
    dict(states=normal(6, 8), row=normal(8)),
    dict(labels=(normal(6) > 0).double()),
)
case(
    "alignment",
    alignment,
    dict(items=normal(4, 5), texts=normal(4, 5), decoded_items=normal(4, 6), decoded_texts=normal(4, 9)),
    dict(item_rows=normal(4, 6), text_rows=normal(4, 9)),
)
case(
    "distillation",
    lambda scores, weights: -(weights * F.logsigmoid(scores)).sum(-1).mean(),
    dict(scores=normal(3, 5)),
    dict(weights=normal(3, 5).abs()),
)
case(
    "divergence",
    lambda student, teacher, weights: 4
    * (weights * F.kl_div(F.log_softmax(student / 2, -1), F.softmax(teacher / 2, -1), reduction="none").sum(-1)).mean(),
    dict(student=normal(4, 6)),
    dict(teacher=normal(4, 6), weights=normal(4).abs()),
)
weights = normal(6, 4)
case("quantizer", quantizer, dict(x=normal(6, 4), first=normal(5, 4), second=normal(5, 4) * 0.5))

save_file({key: value.contiguous().clone() for key, value in store.items()}, HERE / "losses.safetensors")
(HERE / "losses.safetensors").chmod(0o644)
print(len(store), "tensors, PyTorch", torch.__version__)
