// RUN: not calocc-opt %s -p lower-to-fixed 2>&1 | filecheck %s

// CHECK:      error: input 'image': the model does not say how many bits this input has
// CHECK-NEXT:   hint: start the model with a QActivation on this input, or pass --input image=fixed<W,I>
func.func @main(%x: tensor<2xf32> {calocc.name = "image"}) -> tensor<2xf32> {
  %y = qnn.relu %x : (tensor<2xf32>) -> tensor<2xf32>
  func.return %y : tensor<2xf32>
}
