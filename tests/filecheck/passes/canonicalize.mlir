// RUN: calocc-opt %s -p canonicalize | filecheck %s

// A bias of zeros and a scale of ones do nothing; where the format changes, a cast is left.

func.func @main(%x: tensor<2x!fixed.num<u4, 4>>) -> (tensor<2x!fixed.num<u4, 4>>, tensor<2x!fixed.num<u6, 5>>, tensor<2x!fixed.num<u6, 5>>) {
  %zeros = qnn.constant <b96a296d224f285c6 : tensor<2xi8>> : tensor<2x!fixed.num<u1, 1>>
  %ones = qnn.constant <b50cff72c8e550546 : tensor<2xi8>> : tensor<2x!fixed.num<u2, 1>>
  %bias = qnn.constant <b67294d0eff78c6db : tensor<2xi8>> : tensor<2x!fixed.num<u2, 2>>
  %a = qnn.add %x, %zeros {layer = "bias"} : (tensor<2x!fixed.num<u4, 4>>, tensor<2x!fixed.num<u1, 1>>) -> tensor<2x!fixed.num<u4, 4>>
  %b = qnn.mul %ones, %x {layer = "scale"} : (tensor<2x!fixed.num<u2, 1>>, tensor<2x!fixed.num<u4, 4>>) -> tensor<2x!fixed.num<u6, 5>>
  %c = qnn.affine %x, %ones, %bias {layer = "norm"} : (tensor<2x!fixed.num<u4, 4>>, tensor<2x!fixed.num<u2, 1>>, tensor<2x!fixed.num<u2, 2>>) -> tensor<2x!fixed.num<u6, 5>>
  %d = qnn.max %c, %c : (tensor<2x!fixed.num<u6, 5>>, tensor<2x!fixed.num<u6, 5>>) -> tensor<2x!fixed.num<u6, 5>>
  func.return %a, %b, %d : tensor<2x!fixed.num<u4, 4>>, tensor<2x!fixed.num<u6, 5>>, tensor<2x!fixed.num<u6, 5>>
}

// CHECK:      builtin.module {
// CHECK-NEXT:   func.func @main(%x: tensor<2x!fixed.num<u4, 4>>) -> (tensor<2x!fixed.num<u4, 4>>, tensor<2x!fixed.num<u6, 5>>, tensor<2x!fixed.num<u6, 5>>) {
// CHECK-NEXT:     %bias = qnn.constant <b67294d0eff78c6db : tensor<2xi8>> : tensor<2x!fixed.num<u2, 2>>
// CHECK-NEXT:     %b = qnn.quantize %x {rounding = #fixed<rounding trn>, overflow = #fixed<overflow sat>, layer = "scale"} : (tensor<2x!fixed.num<u4, 4>>) -> tensor<2x!fixed.num<u6, 5>>
// CHECK-NEXT:     %c = qnn.add %x, %bias {layer = "norm"} : (tensor<2x!fixed.num<u4, 4>>, tensor<2x!fixed.num<u2, 2>>) -> tensor<2x!fixed.num<u6, 5>>
// CHECK-NEXT:     %d = qnn.max %c, %c : (tensor<2x!fixed.num<u6, 5>>, tensor<2x!fixed.num<u6, 5>>) -> tensor<2x!fixed.num<u6, 5>>
// CHECK-NEXT:     func.return %x, %b, %d : tensor<2x!fixed.num<u4, 4>>, tensor<2x!fixed.num<u6, 5>>, tensor<2x!fixed.num<u6, 5>>
// CHECK-NEXT:   }
// CHECK-NEXT: }

{-#
  dialect_resources: {
    fixed: {
      b96a296d224f285c6: "0x0000",
      b50cff72c8e550546: "0x0202",
      b67294d0eff78c6db: "0x0301"
    }
  }
#-}
