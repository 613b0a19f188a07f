package api

import (
	"context"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"example.com/orderly/internal/fault"
	"example.com/orderly/internal/source"
	"example.com/orderly/internal/users"
)

type userBody struct {
	ID        string    `json:"id"`
	Email     string    `json:"email"`
	Name      string    `json:"name"`
	CreatedAt time.Time `json:"created_at"`
}

func userOf(p users.Profile) userBody {
	return userBody{ID: p.ID, Email: p.Email, Name: p.Name, CreatedAt: p.CreatedAt}
}

func (a *API) register(c *gin.Context, _ login) error {
	var body struct {
		Email    string `json:"email"`
		Name     string `json:"name"`
		Password string `json:"password"`
	}
	if err := decode(c, &body); err != nil {
		return err
	}
	if err := a.take(c, registrationLimit, source.Of(c.Request.Context())); err != nil {
		return err
	}
	profile, err := a.cfg.Users.Register(c.Request.Context(), users.Registration(body))
	if err != nil {
		return err
	}
	c.Header("Location", "/v1/users/me")
	c.Header("ETag", profileTag(profile))
	return answerJSON(c, http.StatusCreated, userOf(profile))
}

func (a *API) me(c *gin.Context, who login) error {
	profile, err := a.cfg.Users.Profile(c.Request.Context(), who.userID)
	if err != nil {
		return err
	}
	c.Header("ETag", profileTag(profile))
	return answerJSON(c, http.StatusOK, userOf(profile))
}

// changeProfile changes what the body names, where the profile is the one that If-Match names. A new address takes the password again: mails
// go there from then on.
func (a *API) changeProfile(c *gin.Context, who login) error {
	versions, err := matched(c.Request.Header)
	if err != nil {
		return err
	}
	var body struct {
		Email           string `json:"email,omitzero"`
		Name            string `json:"name,omitzero"`
		CurrentPassword string `json:"current_password,omitzero"`
	}
	if err := decode(c, &body); err != nil {
		return err
	}
	ctx, change := c.Request.Context(), users.Change{Versions: versions}
	if body.Name != "" {
		change.Name = &body.Name
	}
	if body.Email != "" {
		change.Email = &body.Email
		if body.CurrentPassword == "" {
			return fault.New(fault.Invalid, "current_password_missing", "send current_password with a new email address")
		}
		if err := a.checkPassword(c, who, body.CurrentPassword); err != nil {
			return err
		}
	}
	profile, err := a.cfg.Users.UpdateProfile(ctx, who.userID, change)
	if fault.CodeOf(err) == "profile_changed" {
		return errPrecondition
	}
	if err != nil {
		return err
	}
	c.Header("ETag", profileTag(profile))
	return answerJSON(c, http.StatusOK, userOf(profile))
}

func (a *API) changePassword(c *gin.Context, who login) error {
	var body struct {
		CurrentPassword string `json:"current_password"`
		NewPassword     string `json:"new_password"`
	}
	if err := decode(c, &body); err != nil {
		return err
	}
	return noContent(c, a.withPassword(c, who, func(ctx context.Context) error {
		return a.cfg.Users.ChangePassword(ctx, who.userID, who.token, body.CurrentPassword, body.NewPassword)
	}))
}

// checkPassword asks for the password of the customer again.
func (a *API) checkPassword(c *gin.Context, who login, given string) error {
	return a.withPassword(c, who, func(ctx context.Context) error { return a.cfg.Users.CheckPassword(ctx, who.userID, given) })
}

// withPassword does what asks for the password again. It is held to the limits of log-ins, so that a stolen session is no way to guess more, and
// a wrong password counts as a failed one.
func (a *API) withPassword(c *gin.Context, who login, do func(ctx context.Context) error) error {
	ctx := c.Request.Context()
	profile, err := a.cfg.Users.Profile(ctx, who.userID)
	if err != nil {
		return err
	}
	try, err := a.beginLogin(c, profile.Email)
	if err != nil {
		return err
	}
	err = do(ctx)
	try.end(err)
	if fault.CodeOf(err) == codeWrongPassword {
		a.limitMetrics.logins.WithLabelValues(loginWrong).Inc()
	}
	return err
}

// deleteAccount forgets the customer. Orders under way go on to their end, without a mail.
func (a *API) deleteAccount(c *gin.Context, who login) error {
	var body struct {
		CurrentPassword string `json:"current_password"`
	}
	if err := decode(c, &body); err != nil {
		return err
	}
	if err := a.checkPassword(c, who, body.CurrentPassword); err != nil {
		return err
	}
	return noContent(c, a.cfg.Users.Delete(c.Request.Context(), who.userID))
}

var errPrecondition = &refusal{http.StatusPreconditionFailed, "precondition_failed", "the profile is not the one that If-Match names; read it again"}

// profileTag is a strong validator (RFC 9110, section 8.8.3): two profiles of one customer with the same version are equal.
func profileTag(p users.Profile) string { return `"` + strconv.FormatInt(p.Version, 10) + `"` }

// matched returns the versions that If-Match names (RFC 9110, section 13.1.1), none for "*", which is any. Tags that are weak or not ours match
// no profile.
func matched(h http.Header) (versions []int64, err error) {
	given := strings.Join(h.Values("If-Match"), ",")
	if strings.TrimSpace(given) == "" {
		return nil, &refusal{http.StatusPreconditionRequired, "precondition_required", "send If-Match with the ETag of the profile that is to be changed"}
	}
	for tag := range strings.SplitSeq(given, ",") {
		tag = strings.TrimSpace(tag)
		if tag == "*" {
			return nil, nil
		}
		version, err := strconv.ParseInt(strings.Trim(tag, `"`), 10, 64)
		if err == nil && tag == `"`+strconv.FormatInt(version, 10)+`"` {
			versions = append(versions, version)
		}
	}
	if versions == nil {
		return nil, errPrecondition
	}
	return versions, nil
}
