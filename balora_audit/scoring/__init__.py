"""Scoring: likelihoods, predictions and features from (model, texts)."""

from __future__ import annotations

from balora_audit.scoring.causal import CausalScorer
from balora_audit.scoring.classifier import ClassifierScorer
from balora_audit.scoring.protocol import AnswerScores, LabelScores, NumberScores, ResponseScores, Scorer, TextScores

__all__ = ["AnswerScores", "CausalScorer", "ClassifierScorer", "LabelScores", "NumberScores", "ResponseScores", "Scorer", "TextScores"]
