package api

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humachi"

	"detectd/store"
)

// longestPlaylist bounds the playlist of recorded video.
const longestPlaylist = 7 * 24 * time.Hour

const playlistType = "application/vnd.apple.mpegurl"

// WholeSpan selects a half-open span of time of which both ends are needed.
type WholeSpan struct {
	From Time `query:"from" required:"true" doc:"From this time on."`
	To   Time `query:"to" required:"true" doc:"Before this time."`
}

func (m WholeSpan) check() error {
	if !m.To.After(m.From.Time) {
		return invalid("query.to", "to must be later than from")
	}
	return nil
}

func (s *server) routeMovies() {
	const tag = "Recordings"
	movie := operation(http.MethodGet, "/cameras/{camera_id}/recordings/video.mp4", "get-movie", tag, "Download recorded video",
		"A span of time as one MP4 file, as the camera sent it, never coded again; at most 6 hours or 4 GB. "+
			"Its sound is of the first kind that was recorded in the span; where there was none or another, it is silent. A moment of the file is the same moment of the day: "+
			"where nothing was recorded, the picture stands still. Ranges can be asked for.", 404, 422)
	movie.Responses = map[string]*huma.Response{"200": binary("The file.", "video/mp4"), "206": binary("The part asked for.", "video/mp4")}
	movie.Responses["200"].Headers = map[string]*huma.Param{
		"X-Frame-Time": {Description: "When the first picture that is shown was captured.", Schema: Time{}.Schema(nil)},
	}
	huma.Register(s.huma, movie, s.getMovie)

	list := operation(http.MethodGet, "/cameras/{camera_id}/recordings/index.m3u8", "get-playlist", tag, "Play recorded video (HLS)",
		"A playlist of the recorded files that overlap the span, at most a week, each with the time it was captured at. "+
			"It has sound when all of the files have some, of the same kind, that browsers play (AAC or Opus), with silence where it has holes; else it has none.", 404, 422)
	list.Responses = map[string]*huma.Response{"200": binary("The playlist.", playlistType)}
	huma.Register(s.huma, list, s.getPlaylist)

	for file, what := range map[string]string{"init": "what describes it", "media": "its pictures and sound"} {
		part := operation(http.MethodGet, "/recordings/{recording_id}/"+file+".mp4", "get-recording-"+file, tag,
			"Get a part of recorded video", "Of a recorded file only "+what+", for players of the playlist.", 404)
		part.Responses = map[string]*huma.Response{"200": binary("The part.", "video/mp4"), "206": binary("The range asked for.", "video/mp4")}
		if file == "media" {
			huma.Register(s.huma, part, func(ctx context.Context, in *struct {
				RecordingPath
				Fill bool `query:"fill" doc:"true puts silence where sound is missing."`
			},
			) (*huma.StreamResponse, error) {
				if in.Fill {
					return s.getPart(ctx, &in.RecordingPath, PartFilled)
				}
				return s.getPart(ctx, &in.RecordingPath, PartMedia)
			})
			continue
		}
		huma.Register(s.huma, part, func(ctx context.Context, in *struct {
			RecordingPath
			Audio bool `query:"audio" default:"true" doc:"false has players pass over the sound."`
		},
		) (*huma.StreamResponse, error) {
			if !in.Audio {
				return s.getPart(ctx, &in.RecordingPath, PartSilentHead)
			}
			return s.getPart(ctx, &in.RecordingPath, PartHead)
		})
	}
}

func (s *server) getMovie(ctx context.Context, in *struct {
	CameraPath
	WholeSpan
	Cut string `query:"cut" enum:"exact,keys" default:"exact" doc:"exact: players show the span only; the file also holds the few pictures before it that decoding needs. keys: it begins and ends with key pictures around the span."`
},
) (*huma.StreamResponse, error) {
	if err := in.check(); err != nil {
		return nil, err
	}
	if err := s.cameraExists(ctx, in.CameraID); err != nil {
		return nil, err
	}
	movie, err := s.Media.Movie(ctx, in.CameraID, store.Range{From: in.From.Time, To: in.To.Time}, in.Cut == "exact")
	if err != nil {
		return nil, s.fail(ctx, err)
	}
	name := fmt.Sprintf("%s-%s.mp4", in.CameraID, movie.Start().UTC().Format("20060102T150405Z"))
	return &huma.StreamResponse{Body: func(c huma.Context) {
		defer movie.Close()
		r, w := humachi.Unwrap(c)
		w.Header().Set("Content-Type", "video/mp4")
		w.Header().Set("Content-Disposition", `attachment; filename="`+name+`"`)
		w.Header().Set("X-Frame-Time", movie.Start().UTC().Format(timeFormat))
		http.ServeContent(w, r, "", time.Time{}, movie)
	}}, nil
}

func (s *server) getPlaylist(ctx context.Context, in *struct {
	CameraPath
	WholeSpan
},
) (*huma.StreamResponse, error) {
	if err := in.check(); err != nil {
		return nil, err
	}
	if in.To.Sub(in.From.Time) > longestPlaylist {
		return nil, invalid("query.to", "a playlist is at most a week long")
	}
	if err := s.cameraExists(ctx, in.CameraID); err != nil {
		return nil, err
	}
	all, err := store.AllSegments(ctx, s.Records, in.CameraID, store.Range{From: in.From.Time, To: in.To.Time})
	if err != nil {
		return nil, s.fail(ctx, err)
	}
	if len(all) == 0 {
		return nil, huma.NewError(http.StatusNotFound, "nothing was recorded in this time")
	}
	return &huma.StreamResponse{Body: func(c huma.Context) {
		c.SetHeader("Content-Type", playlistType)
		c.SetStatus(http.StatusOK)
		_, _ = io.WriteString(c.BodyWriter(), playlist(all))
	}}, nil
}

// maxSilence is how much of a file may be without sound in a playlist with sound,
// before silence is put there. Browsers stop where one of the two is missing, or play
// what follows too early.
const maxSilence = 100 * time.Millisecond

// sounds says that a playlist has sound: browsers want it in all of its files or in
// none, and know two kinds of it.
func sounds(all []store.Segment) bool {
	for _, g := range all {
		if g.Audio != "aac" && g.Audio != "opus" || g.Audio != all[0].Audio {
			return false
		}
	}
	return true
}

// playlist is a media playlist (RFC 8216) of whole recorded files. Each has times
// of its own, so there is a discontinuity between any two.
func playlist(all []store.Segment) string {
	var b strings.Builder
	head, heard := "init.mp4", sounds(all)
	if slices.ContainsFunc(all, func(g store.Segment) bool { return g.Audio != "" }) && !heard {
		head += "?audio=false"
	}
	longest := time.Second
	for _, g := range all {
		longest = max(longest, g.End.Sub(g.Start))
	}
	fmt.Fprintf(&b, "#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-TARGETDURATION:%d\n#EXT-X-PLAYLIST-TYPE:VOD\n#EXT-X-INDEPENDENT-SEGMENTS\n", int((longest+time.Second-1)/time.Second))
	for i, g := range all {
		if i > 0 {
			b.WriteString("#EXT-X-DISCONTINUITY\n")
		}
		at, media := base+"/recordings/"+strconv.FormatInt(g.ID, 10), "media.mp4"
		if heard && g.AudioTime < g.End.Sub(g.Start)-maxSilence {
			media += "?fill=true"
		}
		fmt.Fprintf(&b, "#EXT-X-MAP:URI=\"%s/%s\"\n#EXT-X-PROGRAM-DATE-TIME:%s\n#EXTINF:%.3f,\n%s/%s\n",
			at, head, g.Start.UTC().Format(timeFormat), g.End.Sub(g.Start).Seconds(), at, media)
	}
	b.WriteString("#EXT-X-ENDLIST\n")
	return b.String()
}

func (s *server) getPart(ctx context.Context, in *RecordingPath, which Part) (*huma.StreamResponse, error) {
	seg, err := s.Records.Segment(ctx, in.RecordingID)
	if err != nil {
		return nil, s.fail(ctx, err)
	}
	file, err := s.Media.Part(seg, which)
	if err != nil {
		return nil, s.fail(ctx, err)
	}
	return &huma.StreamResponse{Body: func(c huma.Context) {
		defer file.Close()
		r, w := humachi.Unwrap(c)
		w.Header().Set("Content-Type", "video/mp4")
		w.Header().Set("ETag", fmt.Sprintf(`"segment-%d-%d"`, seg.ID, which))
		http.ServeContent(w, r, "", time.Time{}, file)
	}}, nil
}
