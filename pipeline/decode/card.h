// NVIDIA's decoder by way of libav: see card.go.
#ifndef DETECTD_DECODE_CARD_H
#define DETECTD_DECODE_CARD_H

#include <libavcodec/avcodec.h>
#include <libavutil/hwcontext.h>

// dtd_card_open opens the CUDA device of that number. It returns 0 or libav's error.
int dtd_card_open(AVBufferRef **device, const char *number);

// dtd_card_library says whether a library is there.
int dtd_card_library(const char *name);

// dtd_card_attach has a codec that is not open yet decode on the device where the
// video is 4:2:0 with 8 bits and the device takes it, else here. extra is the number
// of surfaces beside those that decoding needs.
int dtd_card_attach(AVCodecContext *codec, AVBufferRef *device, int extra);

// dtd_card_holds says what is known of a picture that a codec gave: DTD_HERE, not on
// the card; DTD_THERE, on it; DTD_NOTHING, a gap; DTD_CROPPED, cropped as cannot be shown.
enum { DTD_HERE, DTD_THERE, DTD_NOTHING, DTD_CROPPED };
int dtd_card_holds(const AVFrame *picture);

// dtd_card_bytes is the size of a picture's buffer in this machine's memory.
int dtd_card_bytes(const AVFrame *here);

// dtd_card_fetch copies the picture from the card into a buffer of that size, which here
// owns then. After an error the buffer is given back.
int dtd_card_fetch(AVFrame *here, const AVFrame *there, AVBufferRef *buffer);

#endif
