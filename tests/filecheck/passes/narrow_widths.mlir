// RUN: calocc-opt %s -p narrow-widths | filecheck %s

// Four bits times (1, 2) are from 0 to 45, which takes 6 of the 20 bits that are there; the cast
// that saturates shrinks with them, the one that wraps may not.

func.func @main(%x: tensor<2x!fixed.num<u4, 4>>) -> (tensor<1x!fixed.num<s12, 12>>, tensor<1x!fixed.num<u5, 5>>) {
  %w = qnn.constant <ba12871fee210fb86 : tensor<2x1xi8>> : tensor<2x1x!fixed.num<s8, 8>>
  %y = qnn.dense %x, %w : (tensor<2x!fixed.num<u4, 4>>, tensor<2x1x!fixed.num<s8, 8>>) -> tensor<1x!fixed.num<s20, 20>>
  %r = qnn.reshape %y : (tensor<1x!fixed.num<s20, 20>>) -> tensor<1x!fixed.num<s20, 20>>
  %s = qnn.quantize %r {rounding = #fixed<rounding trn>, overflow = #fixed<overflow sat>} : (tensor<1x!fixed.num<s20, 20>>) -> tensor<1x!fixed.num<s12, 12>>
  %t = qnn.quantize %y {rounding = #fixed<rounding trn>, overflow = #fixed<overflow wrap>} : (tensor<1x!fixed.num<s20, 20>>) -> tensor<1x!fixed.num<u5, 5>>
  func.return %s, %t : tensor<1x!fixed.num<s12, 12>>, tensor<1x!fixed.num<u5, 5>>
}

// CHECK:      builtin.module {
// CHECK-NEXT:   func.func @main(%x: tensor<2x!fixed.num<u4, 4>>) -> (tensor<1x!fixed.num<u6, 6>>, tensor<1x!fixed.num<u5, 5>>) {
// CHECK-NEXT:     %w = qnn.constant <ba12871fee210fb86 : tensor<2x1xi8>> : tensor<2x1x!fixed.num<u2, 2>>
// CHECK-NEXT:     %y = qnn.dense %x, %w : (tensor<2x!fixed.num<u4, 4>>, tensor<2x1x!fixed.num<u2, 2>>) -> tensor<1x!fixed.num<u6, 6>>
// CHECK-NEXT:     %r = qnn.reshape %y : (tensor<1x!fixed.num<u6, 6>>) -> tensor<1x!fixed.num<u6, 6>>
// CHECK-NEXT:     %s = qnn.quantize %r {rounding = #fixed<rounding trn>, overflow = #fixed<overflow sat>} : (tensor<1x!fixed.num<u6, 6>>) -> tensor<1x!fixed.num<u6, 6>>
// CHECK-NEXT:     %t = qnn.quantize %y {rounding = #fixed<rounding trn>, overflow = #fixed<overflow wrap>} : (tensor<1x!fixed.num<u6, 6>>) -> tensor<1x!fixed.num<u5, 5>>
// CHECK-NEXT:     func.return %s, %t : tensor<1x!fixed.num<u6, 6>>, tensor<1x!fixed.num<u5, 5>>
// CHECK-NEXT:   }
// CHECK-NEXT: }

{-#
  dialect_resources: {
    fixed: {
      ba12871fee210fb86: "0x0102"
    }
  }
#-}
