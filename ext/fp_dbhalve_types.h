/* All sample types for one instruction set: FP_SET is its name, FP_TGT its target mark. */
#define FP_T uint8_t
#define FP_SHORT u8
#define FP_WIDE int32_t
#define FP_FLOATS 0
#define FP_LARGE 0
#define FP_LEAST 0
#include "fp_dbhalve_type.h"

#define FP_T int8_t
#define FP_SHORT s8
#define FP_WIDE int32_t
#define FP_FLOATS 0
#define FP_LARGE 0
#define FP_LEAST INT8_MIN
#include "fp_dbhalve_type.h"

#define FP_T uint16_t
#define FP_SHORT u16
#define FP_WIDE int32_t
#define FP_FLOATS 0
#define FP_LARGE 0
#define FP_LEAST 0
#include "fp_dbhalve_type.h"

#define FP_T int16_t
#define FP_SHORT s16
#define FP_WIDE int32_t
#define FP_FLOATS 0
#define FP_LARGE 0
#define FP_LEAST INT16_MIN
#include "fp_dbhalve_type.h"

#define FP_T uint32_t
#define FP_SHORT u32
#define FP_WIDE int64_t
#define FP_FLOATS 0
#define FP_LARGE 1
#define FP_LEAST 0
#include "fp_dbhalve_type.h"

#define FP_T int32_t
#define FP_SHORT s32
#define FP_WIDE int64_t
#define FP_FLOATS 0
#define FP_LARGE 1
#define FP_LEAST INT32_MIN
#include "fp_dbhalve_type.h"

#define FP_T float
#define FP_SHORT f32
#define FP_WIDE double
#define FP_FLOATS 1
#define FP_LARGE 0
#define FP_LEAST 0
#include "fp_dbhalve_type.h"

#define FP_T double
#define FP_SHORT f64
#define FP_WIDE double
#define FP_FLOATS 1
#define FP_LARGE 0
#define FP_LEAST 0
#include "fp_dbhalve_type.h"
