package record

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	amp4 "github.com/abema/go-mp4"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h264"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/h265"
	"github.com/bluenviron/mediacommon/v2/pkg/formats/fmp4"
	"github.com/bluenviron/mediacommon/v2/pkg/formats/mp4/codecs"

	"detectd/pipeline"
	"detectd/pipeline/matrix"
	"detectd/pipeline/soundtrack"
	"detectd/store"
)

// recover takes up what an earlier run left: files under temporary names, and
// complete files whose row was not added.
func (r *Recorder) recover(ctx context.Context) {
	kept, removed := 0, 0
	take := func(row store.Segment, err error) {
		switch {
		case err != nil:
			r.log.Warn("a file of an earlier run cannot be taken up", "error", err)
		case row.Frames > 0:
			kept++
			r.rows = append(r.rows, row)
		default:
			removed++
		}
	}
	orphans, err := r.orphans(ctx)
	if err != nil {
		r.log.Warn("complete files without a row are not looked for", "error", err)
	}
	temps, err := filepath.Glob(filepath.Join(r.cfg.Root, r.cfg.CameraID, "*"+tempSuffix))
	if err != nil {
		r.log.Warn("files of an earlier run are not looked for", "error", err)
	}
	for _, temp := range temps {
		take(salvage(r.cfg.Root, r.cfg.CameraID, temp))
	}
	for _, orphan := range orphans {
		take(salvage(r.cfg.Root, r.cfg.CameraID, filepath.Join(r.cfg.Root, filepath.FromSlash(orphan))))
	}
	if kept+removed > 0 {
		r.log.Info("took up files of an earlier run", "kept", kept, "removed", removed)
		if r.hooks.Salvaged != nil {
			r.hooks.Salvaged(kept, removed)
		}
	}
}

// orphans lists complete files of the camera's last two days that are not in the
// index. Older ones cannot be: a run that makes a file adds its row, or the next
// run finds it here. The index refuses those that are about to be deleted.
func (r *Recorder) orphans(ctx context.Context) ([]string, error) {
	entries, err := os.ReadDir(filepath.Join(r.cfg.Root, r.cfg.CameraID))
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list folder of camera: %w", err)
	}
	var days []string
	for _, e := range entries {
		if _, err := time.Parse(time.DateOnly, e.Name()); err == nil && e.IsDir() {
			days = append(days, e.Name())
		}
	}
	slices.Sort(days)
	days = days[max(0, len(days)-2):]
	var found []string
	for _, day := range days {
		files, err := os.ReadDir(filepath.Join(r.cfg.Root, r.cfg.CameraID, day))
		if err != nil {
			return nil, fmt.Errorf("list folder of camera: %w", err)
		}
		for _, f := range files {
			if _, err := parseName(f.Name()); err == nil {
				found = append(found, path.Join(r.cfg.CameraID, day, f.Name()))
			}
		}
	}
	if len(found) == 0 {
		return nil, nil
	}
	known, err := r.known(ctx, days[0])
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(found, func(p string) bool { return known[p] }), nil
}

// known are the paths since a day that are in the index.
func (r *Recorder) known(ctx context.Context, since string) (map[string]bool, error) {
	from, err := time.Parse(time.DateOnly, since)
	if err != nil {
		return nil, err
	}
	rows, err := store.AllSegments(ctx, r.index, r.cfg.CameraID, store.Range{From: from})
	if err != nil {
		return nil, fmt.Errorf("list segments: %w", err)
	}
	known := make(map[string]bool, len(rows))
	for _, s := range rows {
		known[s.Path] = true
	}
	return known, nil
}

// salvage makes a segment of the whole fragments in a file, or removes a file
// without any.
func salvage(root, cameraID, file string) (store.Segment, error) {
	n, nameErr := parseName(strings.TrimSuffix(filepath.Base(file), tempSuffix))
	f, err := os.Open(file)
	if err != nil {
		return store.Segment{}, err
	}
	defer f.Close() //nolint:errcheck // it is only read
	c, err := inspect(f)
	if err != nil {
		return store.Segment{}, err
	}
	if nameErr != nil || c.frames == 0 {
		return store.Segment{}, os.Remove(file)
	}
	row := store.Segment{
		CameraID: cameraID, Start: n.start, End: n.start.Add(min(duration(c.end), store.MaxSegment)), Path: n.path(cameraID),
		Bytes: c.good, Frames: c.frames, Codec: string(c.codec), Width: c.width, Height: c.height,
		Clock: n.clock, TimeError: n.timeError,
	}
	if c.heard > 0 {
		row.Audio, row.AudioTime = string(c.audio), min(c.heard, row.End.Sub(row.Start))
	}
	if c.good == c.size && !c.mute() && !strings.HasSuffix(file, tempSuffix) { // it was complete, and synced
		return row, place(root, file, row.Path)
	}
	temp := filepath.Join(root, cameraID, n.String()+anewSuffix)
	if err := writeAnew(temp, f, c); err != nil {
		return store.Segment{}, errors.Join(err, os.Remove(temp))
	}
	if err := place(root, temp, row.Path); err != nil {
		return store.Segment{}, err
	}
	if strings.HasSuffix(file, tempSuffix) {
		return row, os.Remove(file)
	}
	return row, nil
}

// anewSuffix is that of a copy; no name of a segment ends so, which gets what is
// left of a copy removed at the next start.
const anewSuffix = ".anew" + tempSuffix

// writeAnew copies what is whole in a file to another, and syncs that. The file itself
// is never synced and believed in: it may have pages that an earlier sync has failed to
// write, of this run or of one before, and a system forgets those.
func writeAnew(path string, from *os.File, c content) error {
	to, err := os.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o640)
	if err != nil {
		return err
	}
	_, err = io.Copy(to, io.NewSectionReader(from, 0, c.good))
	if err == nil && c.mute() {
		soundtrack.Remove(c.head)
		_, err = to.WriteAt(c.head, 0)
	}
	if err == nil {
		err = to.Sync()
	}
	return errors.Join(err, to.Close())
}

// content is what is whole in a file.
type content struct {
	size          int64 // bytes of the file
	good          int64 // bytes
	frames        int
	end           int64 // latest presentation time plus duration, from the first frame's, in ticks
	codec         pipeline.Codec
	width, height int
	head          []byte
	audio         pipeline.Codec
	rate          uint32        // of the sound; 0: it has no such track
	heard         time.Duration // of the sound
}

// mute says that there is a track for sound and none in it, see segment.publish.
func (c *content) mute() bool { return c.rate > 0 && c.heard == 0 }

// maxHead bounds the boxes that are read into memory; media data is skipped.
const maxHead = 16 << 20

// inspect walks through the boxes of a file up to where it is torn. The error is
// that of the disk; a torn file is none.
func inspect(f *os.File) (content, error) {
	info, err := f.Stat()
	if err != nil {
		return content{}, err
	}
	c := content{size: info.Size()}
	var moof []byte
	first := true
	origin := int64(0)
	for at := int64(0); ; {
		var head [8]byte
		if _, err := f.ReadAt(head[:], at); err != nil {
			if errors.Is(err, io.EOF) {
				err = nil
			}
			return c, err
		}
		size := int64(head[0])<<24 | int64(head[1])<<16 | int64(head[2])<<8 | int64(head[3])
		if size < 8 || at+size > info.Size() {
			return c, nil
		}
		kind := string(head[4:])
		if (kind == "moov" || kind == "moof") && size > maxHead {
			return c, nil
		}
		switch kind {
		case "moov":
			c.head = make([]byte, at+size)
			if _, err := f.ReadAt(c.head, 0); err != nil {
				return c, err
			}
			if !c.readInit() {
				return c, nil
			}
		case "moof":
			moof = make([]byte, size)
			if _, err := f.ReadAt(moof, at); err != nil {
				return c, err
			}
		case "mdat":
			if c.codec == "" || moof == nil || !c.addFragment(moof, &first, &origin) {
				return c, nil
			}
			c.good, moof = at+size, nil
		}
		at += size
	}
}

func (c *content) readInit() bool {
	var init fmp4.Init
	known := bytes.Clone(c.head)
	soundtrack.FromFile(known)
	if err := init.Unmarshal(bytes.NewReader(known)); err != nil || len(init.Tracks) == 0 || init.Tracks[0].TimeScale != clock {
		return false
	}
	for _, t := range init.Tracks[1:] {
		if t.ID == soundTrack {
			c.audio, c.rate = soundtrack.Name(t.Codec), t.TimeScale
		}
	}
	switch codec := init.Tracks[0].Codec.(type) {
	case *codecs.H264:
		var sps h264.SPS
		if sps.Unmarshal(codec.SPS) != nil {
			return false
		}
		c.codec, c.width, c.height = pipeline.H264, sps.Width(), sps.Height()
	case *codecs.H265:
		var sps h265.SPS
		if sps.Unmarshal(codec.SPS) != nil {
			return false
		}
		c.codec, c.width, c.height = pipeline.H265, sps.Width(), sps.Height()
	case *codecs.MJPEG:
		c.codec, c.width, c.height = pipeline.MJPEG, codec.Width, codec.Height
	default:
		return false
	}
	c.width, c.height = matrix.Read(c.head).Size(c.width, c.height)
	return true
}

// addFragment counts the samples of a fragment. first and origin hold the
// presentation time of the file's first sample.
func (c *content) addFragment(moof []byte, first *bool, origin *int64) bool {
	boxes, err := amp4.ExtractBoxesWithPayload(bytes.NewReader(moof), nil, []amp4.BoxPath{
		{amp4.BoxTypeMoof(), amp4.BoxTypeTraf(), amp4.BoxTypeTfhd()},
		{amp4.BoxTypeMoof(), amp4.BoxTypeTraf(), amp4.BoxTypeTfdt()},
		{amp4.BoxTypeMoof(), amp4.BoxTypeTraf(), amp4.BoxTypeTrun()},
	})
	if err != nil {
		return false
	}
	var dts int64
	track := uint32(videoTrack)
	for _, b := range boxes {
		switch b := b.Payload.(type) {
		case *amp4.Tfhd:
			track = b.TrackID
		case *amp4.Tfdt:
			dts = int64(b.BaseMediaDecodeTimeV1)
		case *amp4.Trun:
			if track != videoTrack {
				c.hear(b)
				continue
			}
			for _, e := range b.Entries {
				pts := dts + int64(e.SampleCompositionTimeOffsetV1)
				if *first {
					*first, *origin = false, pts
				}
				c.end = max(c.end, pts+int64(e.SampleDuration)-*origin)
				dts += int64(e.SampleDuration)
				c.frames++
			}
		}
	}
	return true
}

// hear counts sound, holes in it included.
func (c *content) hear(run *amp4.Trun) {
	if c.rate == 0 {
		return
	}
	for _, e := range run.Entries {
		c.heard += time.Duration(float64(e.SampleDuration) / float64(c.rate) * float64(time.Second))
	}
}

// parseName reads the name of a complete file.
func parseName(s string) (name, error) {
	base, ok := strings.CutSuffix(s, fileSuffix)
	parts := strings.Split(base, "-")
	if !ok || len(parts) != 3 {
		return name{}, fmt.Errorf("%q is no name of a segment", s)
	}
	start, err := time.Parse(stamp, parts[0])
	if err != nil {
		return name{}, fmt.Errorf("%q is no name of a segment", s)
	}
	micros, ok := strings.CutSuffix(parts[2], "us")
	us, err := strconv.ParseInt(micros, 10, 64)
	if !ok || err != nil || us < 0 || us > int64(time.Hour/time.Microsecond)*24*365 {
		return name{}, fmt.Errorf("%q is no name of a segment", s)
	}
	return name{start.UTC(), parts[1], time.Duration(us) * time.Microsecond}, nil
}
