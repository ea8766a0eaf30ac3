"""Threads are limited while a film is colored, and restored after it."""

from __future__ import annotations

import threading

import cv2
import pytest
import torch

from vidcolor.inference import threads


@pytest.mark.parametrize(
    ("cores", "network", "flow"), [(1, 1, 1), (2, 1, 1), (8, 1, 2), (16, 2, 4), (64, 8, 4), (256, 16, 4)]
)
def test_cores_are_shared_for_a_while(monkeypatch, cores, network, flow):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(threads, "available_cores", lambda: cores)
    before = torch.get_num_threads(), cv2.getNumThreads()
    seen = []
    with threads.limit_threads():
        other = threading.Thread(target=lambda: seen.append((torch.get_num_threads(), cv2.getNumThreads())))
        other.start()
        other.join()
        seen.append((torch.get_num_threads(), cv2.getNumThreads()))
    assert seen == [(network, flow)] * 2
    assert (torch.get_num_threads(), cv2.getNumThreads()) == before


def test_the_environment_decides_for_the_network(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    before = torch.get_num_threads()
    with threads.limit_threads():
        assert torch.get_num_threads() == before


@pytest.mark.parametrize(("cores", "calls"), [(1, 1), (2, 2), (3, 3), (64, 4)])
def test_calls_do_not_grow_without_end(monkeypatch, cores, calls):
    monkeypatch.setattr(threads, "available_cores", lambda: cores)
    assert threads.concurrent_calls() == calls


def test_cores_are_those_of_the_process():
    assert threads.available_cores() >= 1
