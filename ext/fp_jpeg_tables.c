/* Constants of the JPEG standard (ITU-T T.81, Annex K) and what one quality makes of them. */
#include "fp_jpeg_internal.h"

const uint8_t fp_jpeg_natural[64] = {
    0,  1,  8,  16, 9,  2,  3,  10, 17, 24, 32, 25, 18, 11, 4,  5,  12, 19, 26, 33, 40, 48,
    41, 34, 27, 20, 13, 6,  7,  14, 21, 28, 35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23,
    30, 37, 44, 51, 58, 59, 52, 45, 38, 31, 39, 46, 53, 60, 61, 54, 47, 55, 62, 63,
};

/* Tables K.1 and K.2: quantisation steps at quality 50, natural order. */
static const uint8_t steps[2][64] = {
    {
        16, 11, 10, 16, 24,  40,  51,  61,  12, 12, 14, 19, 26,  58,  60,  55,
        14, 13, 16, 24, 40,  57,  69,  56,  14, 17, 22, 29, 51,  87,  80,  62,
        18, 22, 37, 56, 68,  109, 103, 77,  24, 35, 55, 64, 81,  104, 113, 92,
        49, 64, 78, 87, 103, 121, 120, 101, 72, 92, 95, 98, 112, 100, 103, 99,
    },
    {
        17, 18, 24, 47, 99, 99, 99, 99, 18, 21, 26, 66, 99, 99, 99, 99,
        24, 26, 56, 99, 99, 99, 99, 99, 47, 66, 99, 99, 99, 99, 99, 99,
        99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99,
        99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99,
    },
};

/* Tables K.3 and K.4: sizes of DC differences, as in a DHT segment (codes of 1..16 bits, then the symbols). */
static const uint8_t dc_codes[2][28] = {
    {0, 1, 5, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11},
    {0, 3, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11},
};

/* Tables K.5 and K.6: run and size of the other values. */
static const uint8_t ac_codes[2][178] = {
    {
        0x00, 0x02, 0x01, 0x03, 0x03, 0x02, 0x04, 0x03, 0x05, 0x05, 0x04, 0x04, 0x00, 0x00, 0x01, 0x7d, 0x01, 0x02,
        0x03, 0x00, 0x04, 0x11, 0x05, 0x12, 0x21, 0x31, 0x41, 0x06, 0x13, 0x51, 0x61, 0x07, 0x22, 0x71, 0x14, 0x32,
        0x81, 0x91, 0xa1, 0x08, 0x23, 0x42, 0xb1, 0xc1, 0x15, 0x52, 0xd1, 0xf0, 0x24, 0x33, 0x62, 0x72, 0x82, 0x09,
        0x0a, 0x16, 0x17, 0x18, 0x19, 0x1a, 0x25, 0x26, 0x27, 0x28, 0x29, 0x2a, 0x34, 0x35, 0x36, 0x37, 0x38, 0x39,
        0x3a, 0x43, 0x44, 0x45, 0x46, 0x47, 0x48, 0x49, 0x4a, 0x53, 0x54, 0x55, 0x56, 0x57, 0x58, 0x59, 0x5a, 0x63,
        0x64, 0x65, 0x66, 0x67, 0x68, 0x69, 0x6a, 0x73, 0x74, 0x75, 0x76, 0x77, 0x78, 0x79, 0x7a, 0x83, 0x84, 0x85,
        0x86, 0x87, 0x88, 0x89, 0x8a, 0x92, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99, 0x9a, 0xa2, 0xa3, 0xa4, 0xa5,
        0xa6, 0xa7, 0xa8, 0xa9, 0xaa, 0xb2, 0xb3, 0xb4, 0xb5, 0xb6, 0xb7, 0xb8, 0xb9, 0xba, 0xc2, 0xc3, 0xc4, 0xc5,
        0xc6, 0xc7, 0xc8, 0xc9, 0xca, 0xd2, 0xd3, 0xd4, 0xd5, 0xd6, 0xd7, 0xd8, 0xd9, 0xda, 0xe1, 0xe2, 0xe3, 0xe4,
        0xe5, 0xe6, 0xe7, 0xe8, 0xe9, 0xea, 0xf1, 0xf2, 0xf3, 0xf4, 0xf5, 0xf6, 0xf7, 0xf8, 0xf9, 0xfa,
    },
    {
        0x00, 0x02, 0x01, 0x02, 0x04, 0x04, 0x03, 0x04, 0x07, 0x05, 0x04, 0x04, 0x00, 0x01, 0x02, 0x77, 0x00, 0x01,
        0x02, 0x03, 0x11, 0x04, 0x05, 0x21, 0x31, 0x06, 0x12, 0x41, 0x51, 0x07, 0x61, 0x71, 0x13, 0x22, 0x32, 0x81,
        0x08, 0x14, 0x42, 0x91, 0xa1, 0xb1, 0xc1, 0x09, 0x23, 0x33, 0x52, 0xf0, 0x15, 0x62, 0x72, 0xd1, 0x0a, 0x16,
        0x24, 0x34, 0xe1, 0x25, 0xf1, 0x17, 0x18, 0x19, 0x1a, 0x26, 0x27, 0x28, 0x29, 0x2a, 0x35, 0x36, 0x37, 0x38,
        0x39, 0x3a, 0x43, 0x44, 0x45, 0x46, 0x47, 0x48, 0x49, 0x4a, 0x53, 0x54, 0x55, 0x56, 0x57, 0x58, 0x59, 0x5a,
        0x63, 0x64, 0x65, 0x66, 0x67, 0x68, 0x69, 0x6a, 0x73, 0x74, 0x75, 0x76, 0x77, 0x78, 0x79, 0x7a, 0x82, 0x83,
        0x84, 0x85, 0x86, 0x87, 0x88, 0x89, 0x8a, 0x92, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99, 0x9a, 0xa2, 0xa3,
        0xa4, 0xa5, 0xa6, 0xa7, 0xa8, 0xa9, 0xaa, 0xb2, 0xb3, 0xb4, 0xb5, 0xb6, 0xb7, 0xb8, 0xb9, 0xba, 0xc2, 0xc3,
        0xc4, 0xc5, 0xc6, 0xc7, 0xc8, 0xc9, 0xca, 0xd2, 0xd3, 0xd4, 0xd5, 0xd6, 0xd7, 0xd8, 0xd9, 0xda, 0xe2, 0xe3,
        0xe4, 0xe5, 0xe6, 0xe7, 0xe8, 0xe9, 0xea, 0xf2, 0xf3, 0xf4, 0xf5, 0xf6, 0xf7, 0xf8, 0xf9, 0xfa,
    },
};

/* Step at a quality of 1..100, as libjpeg scales it, limited to the 8 bits of the baseline process. */
static int step_of(int chroma, int natural, int quality)
{
    const int scale = quality < 50 ? 5000 / quality : 200 - 2 * quality;
    const int step = (steps[chroma][natural] * scale + 50) / 100;
    return step < 1 ? 1 : step > 255 ? 255 : step;
}

/* Division by d = 8 * step, exact for dividends below 2^15: with 2^b <= d < 2^(b + 1) the reciprocal 2^(16 + b) / d is
 * rounded up by less than 1, which adds less than 2^15 / 2^(16 + b) < 1 / d to the quotient. */
static void fill_quant(fp_jpeg_quant *quant, int chroma, int quality)
{
    for (int k = 0; k < 64; k++) {
        const uint32_t d = 8 * (uint32_t)step_of(chroma, k, quality);
        unsigned shift = fp_jpeg_highest(d);
        if (d == 1u << shift) shift--; /* 2^16 would not fit in 16 bits: half of it, which is exact */
        for (int copy = k % 8; copy < 32; copy += 8) {
            quant->bias[k / 8][copy] = (uint16_t)(d / 2);
            quant->reciprocal[k / 8][copy] = (uint16_t)(((1u << (16 + shift)) + d - 1) / d);
            quant->shift[k / 8][copy] = (uint16_t)shift;
            quant->scale[k / 8][copy] = (uint16_t)(1u << (16 - shift));
        }
    }
}

/* Canonical codes of a table as in a DHT segment: code << 8 | length by symbol. */
static void fill_codes(const uint8_t *dht, uint32_t *table)
{
    const uint8_t *symbol = dht + 16;
    uint32_t code = 0;
    for (uint32_t length = 1; length <= 16; length++, code <<= 1)
        for (int n = dht[length - 1]; n > 0; n--) table[*symbol++] = code++ << 8 | length;
}

/* A code with room for `size` value bits, and the number of all bits on top. */
static uint32_t entry_of(uint32_t code, unsigned size)
{
    return ((code & 0xFF) + size) << 24 | (code >> 8) << size;
}

/* Entries of all values of a byte, from the codes. Symbols that have no code (none occurs) give what they give. */
static void fill_entries(fp_jpeg_codes *codes, int chroma)
{
    for (unsigned run = 0; run < 16; run++)
        for (int value = -127; value <= 127; value++) {
            const unsigned size = fp_jpeg_bit_length(value);
            const uint32_t entry = entry_of(codes->ac[chroma][run << 4 | size], size);
            codes->entries[chroma][run][value & 0xFF] = entry | fp_jpeg_value_bits(value, size);
            for (int k = 0; k < 4; k++) codes->planes[chroma][k][run << 3 | size] = (uint8_t)(entry >> 8 * k);
        }
}

/* A marker, the length and the bytes of a segment: head and body. */
static uint8_t *put_segment(uint8_t *out, int marker, const uint8_t *head, int head_bytes, const uint8_t *body,
                            int bytes)
{
    const int length = 2 + head_bytes + bytes;
    *out++ = 0xFF;
    *out++ = (uint8_t)marker;
    *out++ = (uint8_t)(length >> 8);
    *out++ = (uint8_t)length;
    memcpy(out, head, (size_t)head_bytes);
    memcpy(out + head_bytes, body, (size_t)bytes);
    return out + head_bytes + bytes;
}

/* All up to the entropy-coded bytes, in libjpeg's order; the size of the image is left 0. */
static void fill_header(uint8_t *out, int quality)
{
    static const uint8_t app0[14] = {'J', 'F', 'I', 'F', 0, 1, 1, 0, 0, 1, 0, 1, 0, 0};
    static const uint8_t sof[15] = {8, 0, 0, 0, 0, 3, 1, 0x22, 0, 2, 0x11, 1, 3, 0x11, 1};
    static const uint8_t sos[10] = {3, 1, 0x00, 2, 0x11, 3, 0x11, 0, 63, 0};
    *out++ = 0xFF;
    *out++ = 0xD8;
    out = put_segment(out, 0xE0, app0, 0, app0, sizeof app0);
    for (uint8_t table = 0; table < 2; table++) {
        uint8_t zigzag[64];
        for (int k = 0; k < 64; k++) zigzag[k] = (uint8_t)step_of(table, fp_jpeg_natural[k], quality);
        out = put_segment(out, 0xDB, &table, 1, zigzag, sizeof zigzag);
    }
    out = put_segment(out, 0xC0, sof, 0, sof, sizeof sof);
    for (uint8_t table = 0; table < 2; table++) {
        const uint8_t ac = 0x10 | table;
        out = put_segment(out, 0xC4, &table, 1, dc_codes[table], sizeof dc_codes[table]);
        out = put_segment(out, 0xC4, &ac, 1, ac_codes[table], sizeof ac_codes[table]);
    }
    put_segment(out, 0xDA, sos, 0, sos, sizeof sos);
}

void fp_jpeg_fill_tables(fp_jpeg *encoder, int quality)
{
    fp_jpeg_codes *codes = &encoder->codes;
    for (int value = 0; value < 128; value++) {
        codes->sizes[value] = (uint8_t)fp_jpeg_bit_length(value);
        codes->ones[value] = (uint8_t)((1u << codes->sizes[value]) - 1);
    }
    for (unsigned set = 0; set < 256; set++) {
        uint8_t *to = codes->compaction[set];
        for (uint8_t k = 0; k < 8; k++)
            if (set >> k & 1) *to++ = k;
    }
    for (int chroma = 0; chroma < 2; chroma++) {
        fill_quant(&encoder->quant[chroma], chroma, quality);
        fill_codes(dc_codes[chroma], codes->dc[chroma]);
        fill_codes(ac_codes[chroma], codes->ac[chroma]);
        for (unsigned size = 0; size < 12; size++) codes->dc[chroma][size] = entry_of(codes->dc[chroma][size], size);
        fill_entries(codes, chroma);
    }
    fill_header(encoder->header, quality);
}
