// RUN: calocc-opt %s -p exact-algebra | filecheck %s

// A bias, a scale and two offsets with constants are one scale and one offset.

// CHECK:      builtin.module {
// CHECK-NEXT:   func.func @main(%0: tensor<2x2x!fixed.num<s5, 3>> {calocc.name = "x", calocc.rounding = #fixed<rounding rnd_conv>, calocc.overflow = #fixed<overflow sat>}) -> (tensor<2x2x!fixed.num<s10, 6>> {calocc.name = "y"}) {
// CHECK-NEXT:     %1 = qnn.constant <baeffc9a04c72a3c4 : tensor<2xi8>> {layer = "offset"} : tensor<2x!fixed.num<s4, 2>>
// CHECK-NEXT:     %2 = qnn.constant <bdc9f81f0307de059 : tensor<2xi8>> {layer = "offset"} : tensor<2x!fixed.num<s7, 3>>
// CHECK-NEXT:     %3 = qnn.affine %0, %1, %2 {layer = "offset"} : (tensor<2x2x!fixed.num<s5, 3>>, tensor<2x!fixed.num<s4, 2>>, tensor<2x!fixed.num<s7, 3>>) -> tensor<2x2x!fixed.num<s10, 6>>
// CHECK-NEXT:     func.return %3 : tensor<2x2x!fixed.num<s10, 6>>
// CHECK-NEXT:   }
// CHECK-NEXT: }

builtin.module {
  func.func @main(%0: tensor<2x2x!fixed.num<s5, 3>> {calocc.name = "x", calocc.rounding = #fixed<rounding rnd_conv>, calocc.overflow = #fixed<overflow sat>}) -> (tensor<2x2x!fixed.num<s10, 6>> {calocc.name = "y"}) {
    %1 = qnn.constant <b46166def61672518 : tensor<2xi8>> : tensor<2x!fixed.num<s4, 2>>
    %2 = qnn.constant <baeffc9a04c72a3c4 : tensor<2xi8>> : tensor<2x!fixed.num<s4, 2>>
    %3 = qnn.constant <b1cfcb0bd04645357 : tensor<2xi8>> : tensor<2x!fixed.num<s3, 2>>
    %4 = qnn.add %0, %1 {layer = "bias"} : (tensor<2x2x!fixed.num<s5, 3>>, tensor<2x!fixed.num<s4, 2>>) -> tensor<2x2x!fixed.num<s6, 4>>
    %5 = qnn.affine %4, %2, %3 {layer = "norm"} : (tensor<2x2x!fixed.num<s6, 4>>, tensor<2x!fixed.num<s4, 2>>, tensor<2x!fixed.num<s3, 2>>) -> tensor<2x2x!fixed.num<s9, 5>>
    %6 = qnn.constant <ba8100ae6aa1940d0 : tensor<1xi8>> : tensor<1x!fixed.num<s4, 2>>
    %7 = qnn.sub %5, %6 {layer = "offset"} : (tensor<2x2x!fixed.num<s9, 5>>, tensor<1x!fixed.num<s4, 2>>) -> tensor<2x2x!fixed.num<s10, 6>>
    func.return %7 : tensor<2x2x!fixed.num<s10, 6>>
  }
}

{-#
  dialect_resources: {
    fixed: {
      b1cfcb0bd04645357: "0xff02",b46166def61672518: "0x05fc",ba8100ae6aa1940d0: "0xff",baeffc9a04c72a3c4: "0xf9fc"
    }
  }
#-}
