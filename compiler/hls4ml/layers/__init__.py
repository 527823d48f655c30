"""How each kind of hls4ml layer becomes `qnn` ops."""
