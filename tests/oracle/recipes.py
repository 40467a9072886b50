"""One training step of each published recipe at tiny size, in float64, by PyTorch's own autograd and optimizers.

Writes recipes.json, which the tests in this folder read; PyTorch is needed only to write it anew:

    python -m venv venv && venv/bin/pip install torch numpy && venv/bin/python tests/oracle/recipes.py

Needs Python 3.9 or later and torch 2.x (written with 2.15, CPU); runs in seconds. Nothing here comes from the papers'
code: every line follows the formulas of arXiv 2102.05363, 2110.06850 and 2210.01787. Dropout masks of SortNet are not
here: which inputs are kept is drawn at random, and with all of them kept the step is that of a distance net.
"""

import json
import math
import pathlib

import torch

torch.set_default_dtype(torch.float64)
BATCH, PIXELS, CLASSES = 11, 16, 4
POWERS = [8.0, 60.0, math.inf]
# Adam's steps done before the recorded one.
DONE = 6


def distance(x, w, p):
    """Distances in the p-norm of the rows of x [B, I] to the rows of w [O, I]: [B, O]."""
    gap = (x[:, None, :] - w[None, :, :]).abs()
    largest = gap.amax(-1, keepdim=True).detach()
    if math.isinf(p):
        return gap.max(-1).values
    return largest[..., 0] * ((gap / largest) ** p).sum(-1) ** (1 / p)


def patches(x, side, kernel, stride, pad):
    """The patches of images [B, C, side, side] under a kernel, zero-padded: [B, positions, C·k·k]."""
    return torch.nn.functional.unfold(x, kernel, padding=pad, stride=stride).transpose(1, 2)


class Net:
    """Distance layers, with a mean shift each but perhaps for the last; then a bias, or a head."""

    def __init__(self, generator, widths, head=None, conv=None):
        def normal(*shape, scale=1.0):
            return drawn(torch.randn(*shape, generator=generator) * scale).requires_grad_()

        self.conv, self.head = conv, head
        self.layers = []
        if conv:
            self.layers.append(normal(conv["channels"], conv["inputs"] * conv["kernel"] ** 2))
        self.layers += [normal(o, i) for i, o in zip(widths, widths[1:])]
        # A head is linear, tanh, linear, each scaled by one over the root of its inputs.
        if head:
            self.linear = [(normal(head, widths[-1]), normal(head)), (normal(CLASSES, head), normal(CLASSES))]
            self.bias = None
        else:
            self.bias = normal(widths[-1], scale=0.1)
        self.scalar = torch.tensor([1.25]).requires_grad_()

    def features(self, x, p):
        """What the distance layers give, and the mean of each hidden layer."""
        means = []
        h = x
        for index, w in enumerate(self.layers):
            last = self.bias is not None and index == len(self.layers) - 1
            if self.conv and index == 0:
                c = self.conv
                cut = patches(h.reshape(BATCH, c["inputs"], c["side"], c["side"]), c["side"], c["kernel"], c["stride"], c["pad"])
                d = distance(cut.reshape(-1, cut.shape[-1]), w, p)
                mean = d.mean(0)
                # Channels first, as the next layer reads them.
                h = (d - mean).reshape(BATCH, cut.shape[1], -1).transpose(1, 2).reshape(BATCH, -1)
                means.append(mean)
                continue
            d = distance(h, w, p)
            if last:
                return d + self.bias, means
            means.append(d.mean(0))
            h = d - d.mean(0)
        return h, means

    def logits_and_worst(self, x, labels, p, eps):
        """z [B, C] and W [B, C]: upper bounds of z_j − z_y within eps, 0 at the label."""
        out, means = self.features(x, p)
        own = torch.nn.functional.one_hot(labels, CLASSES).bool()
        if not self.head:
            z = -out
            worst = z - z[own][:, None] + 2 * eps
            return z, worst.masked_fill(own, 0.0), means
        (w1, b1), (w2, b2) = self.linear
        s1, s2 = w1.shape[1] ** -0.5, w2.shape[1] ** -0.5
        z = s2 * torch.tanh(s1 * out @ w1.T + b1) @ w2.T + b2
        middle, radius = s1 * out @ w1.T + b1, s1 * eps * w1.abs().sum(1)
        low, high = torch.tanh(middle - radius), torch.tanh(middle + radius)
        # The last layer is merged with the difference to the label's row.
        difference = w2[None, :, :] - w2[labels][:, None, :]
        centre = s2 * torch.einsum("bjh,bh->bj", difference, (low + high) / 2) + b2[None, :] - b2[labels][:, None]
        worst = centre + s2 * torch.einsum("bjh,bh->bj", difference.abs(), (high - low) / 2)
        return z, worst.masked_fill(own, 0.0), means

    def distance_parameters(self):
        return self.layers + ([self.bias] if self.bias is not None else [])

    def head_parameters(self):
        return [t for pair in self.linear for t in pair] if self.head else []


def loss_of(kind, z, worst, labels, scalar, eps, mix=None, kappa=None, lam=None):
    cross_entropy = torch.nn.functional.cross_entropy
    others = ~torch.nn.functional.one_hot(labels, CLASSES).bool()
    own = z.gather(1, labels[:, None])
    if kind == "hinge":
        def hinge(margins):
            return mix * margins.clamp(min=0).amax(1).mean() + (1 - mix) * margins.clamp(min=0).mean()
        return kappa * hinge(worst) + (1 - kappa) * hinge(z - own)
    if kind == "cross-entropy":
        return kappa * cross_entropy(worst, labels) + (1 - kappa) * cross_entropy(z, labels)
    scaled = lam * cross_entropy(scalar * z, labels)
    if kind == "mixture":
        return (worst / (2 * eps)).masked_fill(~others, 0.0).clamp(0, 1).amax(1).mean() + scaled
    right = ((scalar * z).argmax(1) == labels).double()
    return (right * (1 + worst).masked_fill(~others, -math.inf).amax(1).clamp(min=0)).mean() + scaled


def decay_of_norm(w, rate, p):
    """Half the squared p-norm of each row decays: a step against its gradient, taken by autograd."""
    rows = w.detach().reshape(w.shape[0], -1).clone().requires_grad_()
    largest = rows.abs().amax(1, keepdim=True).detach()
    if math.isinf(p):
        norm = rows.abs().max(1).values
    else:
        norm = largest[:, 0] * ((rows.abs() / largest) ** p).sum(1) ** (1 / p)
    (norm ** 2 / 2).sum().backward()
    with torch.no_grad():
        w -= rate * rows.grad.reshape(w.shape)


def drawn(tensor):
    """Rounded to float32, so that whoever reads it in that precision starts from the very same numbers."""
    return tensor.float().double()


def listed(tensor):
    return [float(f"{value:.9g}") for value in tensor.detach().reshape(-1).tolist()]


def record(name, recipe, p, seed):
    generator = torch.Generator().manual_seed(seed)
    net = Net(generator, recipe["widths"], recipe.get("head"), recipe.get("conv"))
    x = drawn(torch.randn(BATCH, PIXELS, generator=generator))
    labels = torch.randint(0, CLASSES, (BATCH,), generator=generator)
    lr, eps = recipe["lr"], recipe["eps"]
    adam = dict(betas=(0.9, 0.99), eps=1e-10)
    distances, heads = net.distance_parameters(), net.head_parameters()
    if recipe["optimizer"] == "2021":
        optimizer = torch.optim.Adam([dict(params=distances + heads, lr=lr)], **adam)
    elif recipe["optimizer"] == "2022":
        groups = [dict(params=distances + heads, lr=lr), dict(params=[net.scalar], lr=recipe["scalar_lr"])]
        optimizer = torch.optim.Adam(groups, **adam)
    else:
        decayed = dict(params=heads + [net.scalar], weight_decay=0.02)
        optimizer = torch.optim.AdamW([dict(params=distances, weight_decay=0.0), decayed], lr=lr, **adam)
    trained = [t for group in optimizer.param_groups for t in group["params"]]
    for t in trained:
        first = drawn(torch.randn(t.shape, generator=generator) * 0.01)
        second = drawn(torch.rand(t.shape, generator=generator) * 1e-3 + 1e-5)
        optimizer.state[t] = dict(step=torch.tensor(float(DONE)), exp_avg=first, exp_avg_sq=second)

    def before_step(t):
        state = optimizer.state.get(t)
        moments = (state["exp_avg"], state["exp_avg_sq"]) if state else (torch.zeros_like(t), torch.zeros_like(t))
        return dict(shape=list(t.shape), value=listed(t), m=listed(moments[0]), v=listed(moments[1]))

    def whole(parameter):
        head = [[parameter(w), parameter(b)] for w, b in net.linear] if net.head else []
        bias = parameter(net.bias) if net.bias is not None else None
        return dict(layers=[parameter(w) for w in net.layers], bias=bias, scalar=parameter(net.scalar), head=head)

    before = whole(before_step)
    z, worst, means = net.logits_and_worst(x, labels, p, eps)
    z.retain_grad()
    if net.head:
        worst.retain_grad()
    constants = {key: recipe[key] for key in ("mix", "kappa", "lam") if key in recipe}
    loss = loss_of(recipe["kind"], z, worst, labels, net.scalar, eps, **constants)
    loss.backward()
    gradients = whole(lambda t: listed(t.grad) if t.grad is not None else None)
    if recipe["optimizer"] == "2021":
        for w in distances:
            decay_of_norm(w, lr * recipe["decay"], p)
        with torch.no_grad():
            for w in heads:
                w -= lr * recipe["decay"] * w
    optimizer.step()
    return dict(
        name=name, p="inf" if math.isinf(p) else p, step=DONE, **recipe, images=listed(x), labels=labels.tolist(),
        before=before, logits=listed(z), worst=listed(worst), loss=loss.item(), gradients=gradients,
        logit_gradient=listed(z.grad), worst_gradient=listed(worst.grad) if net.head else [],
        means=[listed(mean) for mean in means], after=whole(listed),
    )


PURE = [PIXELS, 9, 7, CLASSES]
RECIPES = {
    "2021 MNIST and CIFAR-10": dict(widths=PURE, kind="hinge", mix=0.75, kappa=1.0, eps=1.46, lr=0.02, optimizer="2021", decay=0.005),
    "2021 Fashion-MNIST": dict(widths=PURE, kind="hinge", mix=1.0, kappa=1.0, eps=0.64, lr=0.02, optimizer="2021", decay=0.005),
    "2021 MNIST with a head": dict(widths=PURE[:3], head=6, kind="cross-entropy", kappa=0.5, eps=0.6, lr=0.02, optimizer="2021", decay=0.005),
    "2021 CIFAR-10 with a head": dict(widths=PURE[:3], head=6, kind="cross-entropy", kappa=1.0, eps=0.17, lr=0.02, optimizer="2021", decay=0.005),
    "2021 CIFAR-10, convolutions and a head": dict(
        widths=[5 * 4, 8], head=6, conv=dict(inputs=1, side=4, channels=5, kernel=3, stride=2, pad=1),
        kind="cross-entropy", kappa=1.0, eps=0.17, lr=0.02, optimizer="2021", decay=0.005),
    "2022": dict(widths=PURE, kind="mixture", lam=0.1, eps=0.47, lr=0.03, scalar_lr=0.006, optimizer="2022"),
    "SortNet, all inputs kept": dict(widths=PURE, kind="mixture", lam=0.2, eps=0.47, lr=0.02, optimizer="sortnet"),
    "SortNet with a head": dict(widths=PURE[:3], head=6, kind="ce-hinge", lam=1.0, eps=0.043, lr=0.02, optimizer="sortnet"),
}

if __name__ == "__main__":
    each = [(name, p) for name in RECIPES for p in POWERS]
    cases = [record(name, RECIPES[name], p, seed) for seed, (name, p) in enumerate(each)]
    lines = ",\n".join(json.dumps(case) for case in cases)
    pathlib.Path(__file__).with_suffix(".json").write_text(f"[\n{lines}\n]\n")
    for case in cases:
        print(f"{case['name']:45} p = {case['p']}: loss {case['loss']:.6f}")
