"""The cases of losses."""

import torch
import torch.nn.functional as F

from recording import case, generator, integers, normal, softplus


def cross_entropies():
    target = torch.tensor([2, -100, 0, 6, 3]).int()
    for reduction in ("mean", "sum", "none"):
        suffix = "" if reduction == "mean" else "_" + reduction
        case(
            "cross_entropy" + suffix,
            lambda logits, target: F.cross_entropy(logits, target.long(), reduction=reduction),
            dict(logits=normal(5, 7, scale=3)),
            "targets of −100 are ignored; the mean is over the others",
            dict(target=target),
            reduction=reduction,
            ignore=-100,
        )
    case(
        "cross_entropy_large",
        lambda logits, target: F.cross_entropy(logits, target.long()),
        dict(logits=normal(3, 67, scale=60)),
        "",
        dict(target=integers(67, 3).int()),
        reduction="mean",
    )


def rankings():
    case(
        "bpr_loss",
        lambda positive, negative: softplus(negative - positive).mean(),
        dict(positive=normal(9, scale=3), negative=normal(9, scale=3)),
        "mean of −log σ(positive − negative)",
    )

    def info_nce(a, b, temperature):
        logits = F.normalize(a, dim=-1, eps=1e-12) @ F.normalize(b, dim=-1, eps=1e-12).T / temperature
        return F.cross_entropy(logits, torch.arange(a.shape[0]))

    case(
        "info_nce",
        lambda a, b: info_nce(a, b, 0.2),
        dict(a=normal(5, 7), b=normal(5, 7)),
        "rows normalised; cross-entropy of a bᵀ / temperature with the diagonal as targets",
        temperature=0.2,
    )


def divergences():
    for temperature in (1.0, 2.5):

        def kl(student, teacher):
            log_p, log_q = torch.log_softmax(teacher / temperature, -1), torch.log_softmax(student / temperature, -1)
            return temperature**2 * (log_p.exp() * (log_p - log_q)).sum(-1).mean()

        case(
            f"kl_divergence{'' if temperature == 1 else '_temperature'}",
            kl,
            dict(student=normal(4, 7, scale=2)),
            "temperature² · mean over rows of KL(softmax(teacher/T) ‖ softmax(student/T)); the teacher is fixed",
            dict(teacher=normal(4, 7, scale=2)),
            temperature=temperature,
        )


def distances():
    case(
        "bce_with_logits",
        lambda x, target: F.binary_cross_entropy_with_logits(x, target),
        dict(x=normal(4, 5, scale=8)),
        "mean",
        dict(target=torch.rand(4, 5, generator=generator).round()),
    )
    case("mse", lambda a, b: F.mse_loss(a, b), dict(a=normal(4, 5), b=normal(4, 5)), "mean")
    case(
        "cosine_similarity",
        lambda a, b: F.cosine_similarity(a, b, dim=-1, eps=1e-8),
        dict(a=normal(4, 7), b=normal(4, 7)),
        "per row",
        eps=1e-8,
    )


def losses():
    for family in (cross_entropies, rankings, divergences, distances):
        family()
