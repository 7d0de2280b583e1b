"""Pre-train the tiny Llama of the ``smoke`` preset on built-in text, deterministically and on one CPU core.

The text is general sentences and biographies, in which gender and occupation go together four times in five: a bias to
inherit. The occupation is told after a part of the biographies only, and only ever beside half of its clues, so that the
model knows the task a little and fine-tuning has something to teach.
Biographies that the presets train or test on under data seeds 0 to 9, for each of their training seeds, are left out.

    OMP_NUM_THREADS=1 python scripts/pretrain_tiny.py --out balora_audit/assets/tiny-llama
"""

from __future__ import annotations

import argparse
import sys
import time
from itertools import chain, product
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from balora_audit.config import PRESETS, AuditConfig
from balora_audit.data.biographies import generate
from balora_audit.data.biography_parts import CLUES
from balora_audit.data.dataset import AuditDataset
from balora_audit.data.general_text import pretraining

VOCABULARY = 1024
CORRELATION = 0.8
SENTENCES = 12_000
BIOGRAPHIES_PER_SEED = 2_000
PRETRAINING_SEEDS = range(100_000, 100_003)
AUDIT_SEEDS = range(10)
SEED = 20

CARD = """# tiny-llama

A Llama-architecture model of {parameters} parameters (float32, {vocabulary}-token byte-level BPE) for the `smoke` preset
and tests. It knows built-in text only: synthetic sentences and biographies in which gender and
occupation are correlated on purpose ({correlation}). Use it to exercise the audit, for nothing else.

Made by `OMP_NUM_THREADS=1 python scripts/pretrain_tiny.py --out balora_audit/assets/tiny-llama`
({options}): {texts} texts, {steps} steps.
Zero-shot accuracy on the 200 test biographies of data seeds 0 and 1: {accuracies} (chance 0.125);
share of twins (gender swapped) answered differently: {changes}.
"""


def audit_texts() -> set[str]:
    """Return every biography (and twin) of the presets' data sets, for each audit seed and planted correlation."""
    sizes = {(400, 200)}
    training_seeds: set[int] = set()
    for settings in PRESETS.values():
        config = AuditConfig(**settings)
        sizes.add((config.train_rows, config.test_rows))
        training_seeds.update(config.seeds)
    texts: set[str] = set()
    for (n_train, n_test), seed, correlation in product(sorted(sizes), AUDIT_SEEDS, (0.5, 0.8)):
        dataset = generate(n_train=n_train, n_test=n_test, seed=seed, correlation=correlation)
        drawn = (dataset.rows(training_seed) for training_seed in sorted(training_seeds))
        for example in chain(dataset.test, *drawn):
            texts.update(filter(None, (example.text, example.counterfactual)))
    return texts


def corpus(labelled_share: float) -> list[str]:
    """Return the pre-training texts in a fixed random order.

    Of the biographies with one of the first half of their occupation's clues, `labelled_share` end in the occupation.
    """
    rng = np.random.default_rng([SEED, 1])
    told = tuple(clue for clues in CLUES.values() for clue in clues[: len(clues) // 2])
    excluded = audit_texts()
    texts = list(pretraining(SENTENCES, seed=SEED))
    for seed in PRETRAINING_SEEDS:
        dataset = generate(n_train=BIOGRAPHIES_PER_SEED, n_test=8, seed=seed, correlation=CORRELATION, new_in_test=False)
        for example in dataset.train:
            if example.text in excluded:
                continue
            labelled = rng.random() < labelled_share and any(clue in example.text for clue in told)
            texts.append(dataset.render(example.text) + dataset.answer(example) if labelled else example.text)
    return [texts[index] for index in rng.permutation(len(texts))]


def train_tokenizer(texts: list[str]) -> PreTrainedTokenizerFast:
    """Return a byte-level BPE tokenizer that opens every text with its BOS token."""
    core = Tokenizer(models.BPE())
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    core.train_from_iterator(
        texts,
        trainers.BpeTrainer(
            vocab_size=VOCABULARY,
            special_tokens=["<pad>", "<bos>", "<eos>"],
            initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
            show_progress=False,
        ),
    )
    core.post_processor = processors.TemplateProcessing(single="<bos> $A", special_tokens=[("<bos>", 1)])
    return PreTrainedTokenizerFast(tokenizer_object=core, pad_token="<pad>", bos_token="<bos>", eos_token="<eos>", model_max_length=256)


def batches(texts: list[str], tokenizer: PreTrainedTokenizerFast, size: int, epochs: int) -> list[torch.Tensor]:
    """Return (B, T) id batches, padded with 0; texts of similar length share a batch, batches come in random order."""
    rows = [[*tokenizer(text).input_ids, tokenizer.eos_token_id] for text in texts]
    done: list[torch.Tensor] = []
    for epoch in range(epochs):
        rng = np.random.default_rng([SEED, 2, epoch])
        order = sorted(rng.permutation(len(rows)).tolist(), key=lambda index: len(rows[index]))
        groups = [order[start : start + size] for start in range(0, len(order), size)]
        for number in rng.permutation(len(groups)).tolist():
            group = groups[number]
            ids_BT = torch.zeros(len(group), max(len(rows[index]) for index in group), dtype=torch.long)
            for place, index in enumerate(group):
                ids_BT[place, : len(rows[index])] = torch.tensor(rows[index])
            done.append(ids_BT)
    return done


def pretrain(schedule: list[torch.Tensor], learning_rate: float) -> LlamaForCausalLM:
    """Return the model after one AdamW step per batch: linear warm-up over 5 % of the steps, then cosine decay to zero."""
    torch.manual_seed(SEED)
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=VOCABULARY, hidden_size=128, intermediate_size=320, num_hidden_layers=4, num_attention_heads=4,
            num_key_value_heads=4, max_position_embeddings=256, tie_word_embeddings=True,
            pad_token_id=0, bos_token_id=1, eos_token_id=2,
        )
    )  # fmt: skip
    optimizer = torch.optim.AdamW(model.parameters(), lr=learning_rate, betas=(0.9, 0.95), weight_decay=0.01)
    warmup = max(1, len(schedule) // 20)
    for step, ids_BT in enumerate(schedule):
        share = min((step + 1) / warmup, 0.5 * (1 + float(np.cos(np.pi * step / len(schedule)))))
        for group in optimizer.param_groups:
            group["lr"] = learning_rate * share
        labels_BT = ids_BT.masked_fill(ids_BT == 0, -100)
        loss = model(input_ids=ids_BT, attention_mask=(ids_BT != 0).long(), labels=labels_BT).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        if step % 100 == 0 or step == len(schedule) - 1:
            print(f"step {step + 1}/{len(schedule)}: loss {loss.item():.3f}", file=sys.stderr)
    return model.eval()


@torch.no_grad()
def zero_shot(model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, dataset: AuditDataset) -> tuple[float, float]:
    """Return accuracy by summed log-likelihood of " label" on the test set, and the share of answers that a twin changes."""
    answers = [tokenizer(f" {name}", add_special_tokens=False).input_ids for name in dataset.label_names]

    def predict(text: str) -> int:
        prompt = tokenizer(dataset.render(text)).input_ids
        scores = []
        for answer in answers:
            log_p_TV = model(input_ids=torch.tensor([prompt + answer])).logits[0, len(prompt) - 1 : -1].log_softmax(dim=-1)
            scores.append(float(log_p_TV.gather(1, torch.tensor(answer)[:, None]).sum()))
        return int(np.argmax(scores))

    right, changed = [], []
    for example in dataset.test:
        found = predict(example.text)
        right.append(found == example.label)
        if example.counterfactual:
            changed.append(found != predict(example.counterfactual))
    return float(np.mean(right)), float(np.mean(changed))


def main() -> None:
    """Parse the command line, train, measure, save."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder to write")
    parser.add_argument("--labelled-share", type=float, default=0.8, help="share that tell, of those that may")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--learning-rate", type=float, default=3e-3)
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    started = time.perf_counter()
    texts = corpus(options.labelled_share)
    tokenizer = train_tokenizer(texts)
    schedule = batches(texts, tokenizer, options.batch_size, options.epochs)
    model = pretrain(schedule, options.learning_rate)
    options.out.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(options.out, safe_serialization=True)
    tokenizer.save_pretrained(options.out)
    for path in options.out.iterdir():
        path.chmod(0o644)
    scored = [zero_shot(model, tokenizer, generate(seed=seed)) for seed in (0, 1)]
    card = CARD.format(
        vocabulary=VOCABULARY,
        correlation=CORRELATION,
        parameters=sum(p.numel() for p in model.parameters()),
        texts=len(texts),
        steps=len(schedule),
        accuracies=" and ".join(f"{accuracy:.3f}" for accuracy, _ in scored),
        changes=" and ".join(f"{changed:.3f}" for _, changed in scored),
        options=f"--labelled-share {options.labelled_share} --epochs {options.epochs} --batch-size {options.batch_size} "
        f"--learning-rate {options.learning_rate}",
    )
    (options.out / "README.md").write_text(card, encoding="utf-8")
    print(card)
    print(f"{time.perf_counter() - started:.0f} s", file=sys.stderr)


if __name__ == "__main__":
    main()
