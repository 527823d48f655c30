// RUN: not calocc-opt %s -t 'vitis{file="w9.h"}' 2>&1 | filecheck %s
// RUN: calocc-opt %s -t 'vitis{top="trigger"}' | filecheck %s --check-prefix=NAMED

// CHECK: error: target vitis{file="w9.h"}: no file of this name is generated
// CHECK-NEXT: hint: there are design.cpp, design.h, defines.h, parameters.h, weights/w3.h, weights/w3.txt

// NAMED: #include "trigger.h"
// NAMED: void trigger(hls::stream<input_t> &x0,

builtin.module {
  func.func @main(%0: !dataflow.stream<tensor<4x!fixed.num<s6, 2>>, 4> {calocc.name = "x0", calocc.rounding = #fixed<rounding rnd_conv>, calocc.overflow = #fixed<overflow sat>}) -> (!dataflow.stream<tensor<4x!fixed.num<u5, 2>>, 4> {calocc.name = "y0"}) {
    %1 = dataflow.lanes %0 {layer = "input", depths = array<i64: 4>} : (!dataflow.stream<tensor<4x!fixed.num<s6, 2>>, 4>) -> !dataflow.stream<tensor<4x!fixed.num<s6, 2>>, 1>
    %2 = dataflow.matvec %1 {weights = #fixed.blob<ba7bdfd676f6d8e13 : tensor<4x4xi8>>, weight_type = !fixed.num<s3, 2>, layer = "fc", depths = array<i64: 4>} : (!dataflow.stream<tensor<4x!fixed.num<s6, 2>>, 1>) -> !dataflow.stream<tensor<4x!fixed.num<u5, 2>>, 1> {
    ^bb0(%3: !fixed.num<s10, 5>):
      %4 = fixed.constant <b9bf0ac8f9b4fe8eb : tensor<4xi8>> : !fixed.num<s4, 3>
      %5 = fixed.add %3, %4 : (!fixed.num<s10, 5>, !fixed.num<s4, 3>) -> !fixed.num<s11, 6>
      %6 = fixed.quantize %5 {rounding = #fixed<rounding rnd_conv>, overflow = #fixed<overflow sat>} : (!fixed.num<s11, 6>) -> !fixed.num<u5, 2>
      fixed.yield %6 : !fixed.num<u5, 2>
    }
    %7 = dataflow.lanes %2 {layer = "output", depths = array<i64: 2>} : (!dataflow.stream<tensor<4x!fixed.num<u5, 2>>, 1>) -> !dataflow.stream<tensor<4x!fixed.num<u5, 2>>, 4>
    func.return %7 : !dataflow.stream<tensor<4x!fixed.num<u5, 2>>, 4>
  }
}

{-#
  dialect_resources: {
    fixed: {
      b9bf0ac8f9b4fe8eb: "0x02000006",ba7bdfd676f6d8e13: "0x020100fefefcfcfcfd02010300000301"
    }
  }
#-}
