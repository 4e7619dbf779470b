"""A tiny real text classifier, which learns in a second that one word is unsafe."""

from pathlib import Path
from typing import Literal

import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from torch.nn.functional import cross_entropy, one_hot
from transformers import BertConfig, BertForSequenceClassification, PreTrainedTokenizerFast

WORDS = [f"w{i}" for i in range(20)]
BAD = "attack"
LONGEST_TOKENS = 16


def write_classifier(
    folder: Path,
    labels: tuple[str, ...] = ("ok", "toxic"),
    problem: Literal["single_label_classification", "multi_label_classification"] = "single_label_classification",
) -> Path:
    """A BERT of one layer whose last label is that of texts with the word ``attack``, and the first that of all others."""
    vocabulary = {word: i for i, word in enumerate(["[PAD]", "[UNK]", "[CLS]", "[SEP]", BAD, *WORDS])}
    inner = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    inner.pre_tokenizer = pre_tokenizers.Whitespace()
    inner.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=inner,
        unk_token="[UNK]",
        pad_token="[PAD]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        model_max_length=LONGEST_TOKENS,
    )
    tokenizer.save_pretrained(str(folder))
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(vocabulary),
        hidden_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=LONGEST_TOKENS + 2,
        id2label=dict(enumerate(labels)),
        label2id={label: i for i, label in enumerate(labels)},
        problem_type=problem,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
    )
    model = BertForSequenceClassification(config)
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    for _ in range(200):
        ids = torch.randint(5, len(vocabulary), (32, 10))
        bad = torch.arange(32) < 16
        ids[bad, torch.randint(0, 10, (16,))] = 4
        ids = torch.cat([torch.full((32, 1), 2), ids, torch.full((32, 1), 3)], dim=1)
        wanted = bad.long() * (len(labels) - 1)
        loss = (
            cross_entropy(model(input_ids=ids).logits, wanted)
            if problem.startswith("single")
            else torch.nn.functional.binary_cross_entropy_with_logits(
                model(input_ids=ids).logits, one_hot(wanted, len(labels)).float()
            )
        )
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    model.save_pretrained(str(folder))
    return folder
