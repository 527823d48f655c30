"""calocc: compiles QKeras networks to bit-exact streaming FPGA designs."""
