// RUN: not calocc-opt %s -p lower-to-fixed 2>&1 | filecheck %s

// CHECK:      error: input 'image': the model does not say how many bits this input has: no quantizer stands between it and layer
// CHECK-NEXT:   hint: let all read one QActivation such as quantized_bits(12,3,alpha=1) on this input, or pass --input image=fixed<W,I>
func.func @main(%x: tensor<2xf32> {calocc.name = "image"}) -> tensor<2xf32> {
  %y = qnn.relu %x : (tensor<2xf32>) -> tensor<2xf32>
  func.return %y : tensor<2xf32>
}
