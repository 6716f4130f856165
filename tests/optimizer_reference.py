"""Keras's optimizers and the order of a training step, transcribed in plain NumPy. Imports no fastrnn.

A rule is a function (w, g, s, t, lr) -> new w: the value, its gradient, a dict of state that starts empty, the update's
number from 1, the learning rate. `Training` is what Keras's base class does around it, for a list of variables.
"""

import math

import numpy as np


def kept(state, name, like, value=0.0):
    return state.setdefault(name, np.full_like(like, value))


def sgd(momentum=0.0, nesterov=False):
    def rule(w, g, s, t, lr):
        if momentum == 0:
            return w - lr * g
        s["m"] = momentum * kept(s, "m", w) - lr * g
        return w + (momentum * s["m"] - lr * g if nesterov else s["m"])

    return rule


def rmsprop(rho=0.9, momentum=0.0, epsilon=1e-7, centered=False):
    def rule(w, g, s, t, lr):
        s["v"] = rho * kept(s, "v", w) + (1 - rho) * g**2
        under = s["v"] + epsilon
        if centered:
            s["a"] = rho * kept(s, "a", w) + (1 - rho) * g
            under = s["v"] - s["a"] ** 2 + epsilon
        change = lr * g / np.sqrt(under)
        if momentum > 0:
            change = s["m"] = momentum * kept(s, "m", w) + change
        return w - change

    return rule


def adam(beta_1=0.9, beta_2=0.999, epsilon=1e-7, amsgrad=False):
    def rule(w, g, s, t, lr):
        alpha = lr * math.sqrt(1 - beta_2**t) / (1 - beta_1**t)
        s["m"] = kept(s, "m", w) + (g - kept(s, "m", w)) * (1 - beta_1)
        v = s["v"] = kept(s, "v", w) + (g**2 - kept(s, "v", w)) * (1 - beta_2)
        if amsgrad:
            v = s["top"] = np.maximum(kept(s, "top", w), v)
        return w - s["m"] * alpha / (np.sqrt(v) + epsilon)

    return rule


def adamax(beta_1=0.9, beta_2=0.999, epsilon=1e-7):
    def rule(w, g, s, t, lr):
        s["m"] = kept(s, "m", w) + (g - kept(s, "m", w)) * (1 - beta_1)
        s["u"] = np.maximum(beta_2 * kept(s, "u", w), np.abs(g))
        return w - lr * s["m"] / ((1 - beta_1**t) * (s["u"] + epsilon))

    return rule


def nadam(beta_1=0.9, beta_2=0.999, epsilon=1e-7):
    def rule(w, g, s, t, lr):
        u = beta_1 * (1 - 0.5 * 0.96**t)
        u_next = beta_1 * (1 - 0.5 * 0.96 ** (t + 1))
        s["product"] = s.get("product", 1.0) * u
        s["m"] = kept(s, "m", w) + (g - kept(s, "m", w)) * (1 - beta_1)
        s["v"] = kept(s, "v", w) + (g**2 - kept(s, "v", w)) * (1 - beta_2)
        m_hat = u_next * s["m"] / (1 - s["product"] * u_next) + (1 - u) * g / (1 - s["product"])
        v_hat = s["v"] / (1 - beta_2**t)
        return w - m_hat * lr / (np.sqrt(v_hat) + epsilon)

    return rule


def adagrad(initial_accumulator_value=0.1, epsilon=1e-7):
    def rule(w, g, s, t, lr):
        s["n"] = kept(s, "n", w, initial_accumulator_value) + g**2
        return w - lr * g / np.sqrt(s["n"] + epsilon)

    return rule


def adadelta(rho=0.95, epsilon=1e-7):
    def rule(w, g, s, t, lr):
        s["g"] = rho * kept(s, "g", w) + (1 - rho) * g**2
        change = -np.sqrt(kept(s, "d", w) + epsilon) * g / np.sqrt(s["g"] + epsilon)
        s["d"] = rho * s["d"] + (1 - rho) * change**2
        return w + lr * change

    return rule


def ftrl(
    learning_rate_power=-0.5,
    initial_accumulator_value=0.1,
    l1_regularization_strength=0.0,
    l2_regularization_strength=0.0,
    l2_shrinkage_regularization_strength=0.0,
    beta=0.0,
):
    def rule(w, g, s, t, lr):
        l1, k = l1_regularization_strength, -learning_rate_power
        l2 = l2_regularization_strength + beta / (2 * lr)
        n = kept(s, "n", w, initial_accumulator_value)
        after = n + g**2
        shrunk = g + 2 * l2_shrinkage_regularization_strength * w
        s["z"] = kept(s, "z", w) + shrunk - (after**k - n**k) / lr * w
        s["n"] = after
        return (np.clip(s["z"], -l1, l1) - s["z"]) / (after**k / lr + 2 * l2)

    return rule


class Training:
    """Keras's BaseOptimizer.apply for float64 variables."""

    def __init__(
        self,
        values,
        rule,
        learning_rate=0.01,
        *,
        clipnorm=None,
        clipvalue=None,
        global_clipnorm=None,
        weight_decay=None,
        decayed=None,
        use_ema=False,
        ema_momentum=0.99,
        ema_overwrite_frequency=None,
        gradient_accumulation_steps=None,
        constraint=None,
    ):
        self.values = [v.astype(np.float64) for v in values]
        self.states = [{} for _ in values]
        self.sums = [np.zeros_like(v) for v in self.values]
        self.averages = [np.zeros_like(v) for v in self.values]
        self.calls = 0
        self.options = dict(locals())
        for name in ("self", "values"):
            del self.options[name]

    def __getattr__(self, name):
        return self.options[name]

    def apply(self, gradients):
        gradients = [g.astype(np.float64) for g in gradients]
        every = self.gradient_accumulation_steps or 1
        done = self.calls // every
        if (self.calls + 1) % every == 0:
            self.update(
                [(g + a) / every for g, a in zip(gradients, self.sums, strict=True)], done + 1
            )
            self.sums = [np.zeros_like(v) for v in self.values]
        else:
            self.sums = [a + g for g, a in zip(gradients, self.sums, strict=True)]
        if self.use_ema:
            keep = self.ema_momentum if done else 0.0
            self.averages = [
                keep * a + (1 - keep) * v for a, v in zip(self.averages, self.values, strict=True)
            ]
            if self.ema_overwrite_frequency and (done + 1) % self.ema_overwrite_frequency == 0:
                self.finalize()
        if self.constraint is not None:
            self.values = [self.constraint(v) for v in self.values]
        self.calls += 1

    def update(self, gradients, t):
        rate = (
            self.learning_rate(self.calls) if callable(self.learning_rate) else self.learning_rate
        )
        gradients = self.clipped(gradients)
        for i, g in enumerate(gradients):
            if self.weight_decay and (self.decayed is None or self.decayed[i]):
                self.values[i] = self.values[i] - self.values[i] * self.weight_decay * rate
            self.values[i] = self.rule(self.values[i], g, self.states[i], t, rate)

    def clipped(self, gradients):
        if self.clipnorm:
            norms = [math.sqrt((g**2).sum()) for g in gradients]
            return [
                g * self.clipnorm / max(n, self.clipnorm)
                for g, n in zip(gradients, norms, strict=True)
            ]
        if self.global_clipnorm:
            norm = math.sqrt(sum((g**2).sum() for g in gradients))
            return [g * min(1.0, self.global_clipnorm / norm) for g in gradients]
        if self.clipvalue:
            return [np.clip(g, -self.clipvalue, self.clipvalue) for g in gradients]
        return gradients

    def finalize(self):
        self.values = [a.copy() for a in self.averages]
