#include "card.h"

#include <dlfcn.h>
#include <libavutil/pixdesc.h>
#include <string.h>

int dtd_card_open(AVBufferRef **device, const char *number) {
	// In the context that the model's runtime uses too: a second one costs some hundred
	// MiB of the card, and the two would take turns. The runtime may have opened it
	// in a way that libav does not take; then it is a second one.
	AVDictionary *shared = NULL;
	int err = av_dict_set(&shared, "primary_ctx", "1", 0);
	if (err >= 0)
		err = av_hwdevice_ctx_create(device, AV_HWDEVICE_TYPE_CUDA, number, shared, 0);
	av_dict_free(&shared);
	if (err < 0)
		err = av_hwdevice_ctx_create(device, AV_HWDEVICE_TYPE_CUDA, number, NULL, 0);
	return err;
}

int dtd_card_library(const char *name) {
	void *library = dlopen(name, RTLD_LAZY | RTLD_LOCAL);
	if (!library)
		return 0;
	dlclose(library);
	return 1;
}

// choose takes the card for 4:2:0 with 8 bits. libavcodec asks again without the card
// when it does not take the video, and at every change of it.
static enum AVPixelFormat choose(AVCodecContext *codec, const enum AVPixelFormat *offers) {
	int card = 0;
	enum AVPixelFormat here = AV_PIX_FMT_NONE; // the last offer, by libavcodec's rule
	(void)codec;
	for (; *offers != AV_PIX_FMT_NONE; offers++) {
		card |= *offers == AV_PIX_FMT_CUDA;
		here = *offers;
	}
	return card && (here == AV_PIX_FMT_YUV420P || here == AV_PIX_FMT_YUVJ420P) ? AV_PIX_FMT_CUDA : here;
}

int dtd_card_attach(AVCodecContext *codec, AVBufferRef *device, int extra) {
	codec->hw_device_ctx = av_buffer_ref(device);
	if (!codec->hw_device_ctx)
		return AVERROR(ENOMEM);
	codec->get_format = choose;
	codec->extra_hw_frames = extra;
	return 0;
}

int dtd_card_holds(const AVFrame *picture) {
	if (picture->format != AV_PIX_FMT_CUDA)
		return DTD_HERE;
	if (!picture->data[0] || !picture->data[1] || !picture->hw_frames_ctx)
		return DTD_NOTHING;
	return picture->crop_left || picture->crop_top ? DTD_CROPPED : DTD_THERE;
}

// pitch is the length of a row: of whole cache lines, as libav makes them.
static int pitch(const AVFrame *here) { return (here->width + 63) & ~63; }

int dtd_card_bytes(const AVFrame *here) {
	return pitch(here) * (here->height + (here->height + 1) / 2) + 64;
}

// copy has libav copy the picture. libav 5.1 returns 0 also where CUDA failed, and
// copies the brightness first: the end of the colours tells whether it was there.
static int copy(AVFrame *here, const AVFrame *there, int mark) {
	uint8_t *end = here->data[1] + (ptrdiff_t)here->linesize[1] * (here->height / 2 - 1), marked[8];
	memset(marked, mark, sizeof marked);
	memcpy(end, marked, sizeof marked);
	int err = av_hwframe_transfer_data(here, there, 0);
	if (err < 0)
		return err;
	return !memcmp(end, marked, sizeof marked);
}

static int fetch(AVFrame *here, const AVFrame *there, AVBufferRef *buffer) {
	here->linesize[0] = here->linesize[1] = pitch(here);
	here->data[0] = buffer->data;
	here->data[1] = buffer->data + (ptrdiff_t)here->linesize[0] * here->height;
	if (here->width < 8 || here->height < 2)
		return AVERROR(EINVAL); // smaller than any card decodes
	int same = copy(here, there, 0x5a);
	if (same > 0) // it failed, or the picture has that colour there
		same = copy(here, there, 0xa5);
	return same > 0 ? AVERROR_EXTERNAL : same;
}

int dtd_card_fetch(AVFrame *here, const AVFrame *there, AVBufferRef *buffer) {
	here->buf[0] = buffer;
	int err = fetch(here, there, buffer);
	if (err < 0) {
		av_buffer_unref(&here->buf[0]);
		memset(here->data, 0, sizeof here->data);
	}
	return err;
}
