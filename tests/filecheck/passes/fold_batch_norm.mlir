// RUN: calocc-opt %s -p fold-batch-norm,dce | filecheck %s

// gamma = (4, -1), beta = (1, 0), mean = (0, 2), variance + epsilon = (4, 1):
// scale = gamma / sqrt(variance + epsilon) = (2, -1), offset = beta - mean * scale = (1, 2).

func.func @main(%x: tensor<2xf32>) -> tensor<2xf32> {
  %gamma = qnn.constant <bf75b045c3f70cfb7 : tensor<2xf32>> : tensor<2xf32>
  %beta = qnn.constant <b434b26042aff3fb8 : tensor<2xf32>> : tensor<2xf32>
  %mean = qnn.constant <b3f710ac088db3336 : tensor<2xf32>> : tensor<2xf32>
  %variance = qnn.constant <bcb757abafa87c19b : tensor<2xf32>> : tensor<2xf32>
  %y = qnn.batch_norm %x, %gamma, %beta, %mean, %variance {epsilon = 2.500000e-01 : f64, layer = "bn"} : (tensor<2xf32>, tensor<2xf32>, tensor<2xf32>, tensor<2xf32>, tensor<2xf32>) -> tensor<2xf32>
  func.return %y : tensor<2xf32>
}

// CHECK:      builtin.module {
// CHECK-NEXT:   func.func @main(%x: tensor<2xf32>) -> tensor<2xf32> {
// CHECK-NEXT:     %y = qnn.constant <b5c8ebd9e8d97756d : tensor<2xf64>> {layer = "bn"} : tensor<2xf32>
// CHECK-NEXT:     %y_1 = qnn.constant <bdc91ce9a50ddc828 : tensor<2xf64>> {layer = "bn"} : tensor<2xf32>
// CHECK-NEXT:     %y_2 = qnn.affine %x, %y, %y_1 {layer = "bn"} : (tensor<2xf32>, tensor<2xf32>, tensor<2xf32>) -> tensor<2xf32>
// CHECK-NEXT:     func.return %y_2 : tensor<2xf32>
// CHECK-NEXT:   }
// CHECK-NEXT: }

{-#
  dialect_resources: {
    fixed: {
      bf75b045c3f70cfb7: "0x00008040000080bf",
      b434b26042aff3fb8: "0x0000803f00000000",
      b3f710ac088db3336: "0x0000000000000040",
      bcb757abafa87c19b: "0x000070400000403f"
    }
  }
#-}
