package movie

import (
	"fmt"
	"os"

	"github.com/bluenviron/mediacommon/v2/pkg/formats/fmp4"
	"github.com/bluenviron/mediacommon/v2/pkg/formats/fmp4/seekablebuffer"
)

// Filled returns the media of a recorded file as one fragment, which goes with the
// file's own head: its sound reaches from the first picture to the end of the last,
// with silence where some is missing. Browsers that get sound and video together
// wait where one of the two has a hole. Sound of which no silence is known is as it
// is in the file. The whole of it is in memory.
func Filled(f *os.File) ([]byte, error) {
	x, err := read(0, f)
	if err != nil {
		return nil, err
	}
	v := videoOf(x.init)
	if v < 0 || len(x.samples[x.init.Tracks[v].ID]) == 0 {
		return nil, ErrNoMedia
	}
	rate := x.init.Tracks[v].TimeScale
	begin, end := shownBetween(x.samples[x.init.Tracks[v].ID])
	var out fmp4.Part
	for i, t := range x.init.Tracks {
		samples, silence := joined(x.samples[t.ID]), []byte(nil)
		if len(samples) == 0 {
			continue
		}
		if i != v {
			last := &samples[len(samples)-1]
			until := ticksOf(durationOf(end, rate), t.TimeScale)
			last.length = uint32(max(int64(last.length), until-last.dts)) //nolint:gosec // a file lasts at most an hour
			samples, silence = fill(samples, ticksOf(durationOf(begin, rate), t.TimeScale), t.Codec)
		}
		track := &fmp4.PartTrack{ID: t.ID, BaseTime: uint64(samples[0].dts)} //nolint:gosec // not negative in a file
		for _, s := range samples {
			payload := silence
			if s.file != noFile {
				payload = make([]byte, s.size)
				if _, err := f.ReadAt(payload, s.offset); err != nil {
					return nil, fmt.Errorf("read recording: %w", err)
				}
			}
			track.Samples = append(track.Samples, &fmp4.Sample{
				Duration: s.length, PTSOffset: s.shift, IsNonSyncSample: !s.sync, Payload: payload,
			})
		}
		out.Tracks = append(out.Tracks, track)
	}
	var b seekablebuffer.Buffer
	if err := out.Marshal(&b); err != nil {
		return nil, fmt.Errorf("write fragment: %w", err)
	}
	return b.Bytes(), nil
}

// shownBetween is when the first picture is shown, and until when the last is.
func shownBetween(video []sample) (begin, end int64) {
	begin = video[0].pts()
	for _, s := range video {
		begin, end = min(begin, s.pts()), max(end, s.pts()+int64(s.length))
	}
	return begin, end
}

// joined has each sample last up to the next.
func joined(samples []sample) []sample {
	for i := range samples[:max(0, len(samples)-1)] {
		samples[i].length = uint32(max(0, samples[i+1].dts-samples[i].dts)) //nolint:gosec // a file lasts at most an hour
	}
	return samples
}
