package api

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"
)

// CheckReport is the outcome of comparing records with files.
type CheckReport struct {
	Schema      int64          `json:"schema" doc:"Version of the database's schema."`
	Rows        int            `json:"rows" doc:"Records that name a file."`
	Files       int            `json:"files" doc:"Files looked at."`
	Bytes       int64          `json:"bytes" doc:"Their size."`
	UnusedBlobs int            `json:"unused_blobs" doc:"Files that no record names and that are deleted soon."`
	Findings    []CheckFinding `json:"findings" nullable:"false" doc:"What is wrong; empty when all is well."`
}

// CheckFinding is one thing that is wrong in the data folder.
type CheckFinding struct {
	Kind string `json:"kind" example:"missing" enum:"database,folder,series,missing,damaged,orphan" doc:"What kind of fault it is."`
	File string `json:"file" example:"media/door/x.mp4" doc:"The file, below the data folder."`
	Row  string `json:"row" example:"segment 17" doc:"The record that names it."`
	What string `json:"what" example:"its file is missing" doc:"What is wrong and what helps, for people."`
}

type checkInput struct {
	Body struct {
		Level string `json:"level,omitempty" enum:"presence,size,hash" default:"presence" doc:"How closely to look: presence of files, their sizes, or every byte of models, uploads and results, which takes its time."`
	}
}

func (s *server) routeCheck() {
	huma.Register(s.huma, operation(http.MethodPost, "/system/check", "check-system", "System",
		"Compare records with files", "Looks for records without their file, files without a record and a damaged database. Changes nothing; `detectd check --repair` does."), s.checkSystem)
}

func (s *server) checkSystem(ctx context.Context, in *checkInput) (*answered[CheckReport], error) {
	r, err := s.System.Check(ctx, in.Body.Level)
	if err != nil {
		return nil, s.fail(ctx, err)
	}
	return &answered[CheckReport]{Body: r}, nil
}
