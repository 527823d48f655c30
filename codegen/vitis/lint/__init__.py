"""Lint for synthesis: what Vitis HLS refuses or builds badly, found in the written C++."""
