"""Running sums for calocc, from the Keras layer to the FPGA."""
