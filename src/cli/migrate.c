/* SPDX-License-Identifier: MIT */
#include "config.h"

#include "cli/migrate.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nst.h"

/*
 * Changes in 0.2.0: --scales auto begins at 64 pixels; --iterations is divided among
 * the scales; --moment-weight follows --style-weight; --padding pads the input of each
 * convolution, not the image; scales up to NST_PICTURE_SMALL_SIDE are made from the
 * picture as read; --compat, with the optimiser of PyTorch's tutorial, is gone.
 */
#define OLD_VERSION "0.1.0"
#define OLD_MIN_SCALE 256
#define OLD_STYLE_WEIGHT 7000.0

static const char *get_text(const json_t *options, const char *name)
{
    const char *s = json_string_value(json_object_get(options, name));

    return s ? s : "";
}

static double get_number(const json_t *options, const char *name)
{
    const json_t *value = json_object_get(options, name);

    return json_is_string(value) ? atof(json_string_value(value))
                                 : json_number_value(value);
}

/* Halve longest down to OLD_MIN_SCALE; the list is in ascending order. */
static int old_auto_scales(int longest, int scale[NST_LIST_MAX])
{
    int count = 0;

    for (int shift = NST_LIST_MAX - 1; shift >= 0; shift--)
        if (shift == 0 || longest >> shift >= OLD_MIN_SCALE)
            scale[count++] = longest >> shift;
    return count;
}

static void set_list(json_t *options, const char *name, const int value[], int count)
{
    char text[16 * NST_LIST_MAX] = "";
    size_t n = 0;

    for (int i = 0; i < count; i++)
        n +=
            (size_t)snprintf(text + n, sizeof text - n, "%s%d", i ? "," : "", value[i]);
    json_object_set_new(options, name, json_string(text));
}

static int list_length(const char *list)
{
    int count = 1;

    if (strcmp(list, "none") == 0 || !*list)
        return 1;
    for (; *list; list++)
        count += *list == ',';
    return count;
}

/* In 0.1.0 the first scale has all requested iterations; each next one has half of them
 * (auto) or as many (none). */
static void expand_scales(json_t *options, int longest)
{
    int scale[NST_LIST_MAX], steps[NST_LIST_MAX];
    int count = list_length(get_text(options, "scales"));
    int first = (int)get_number(options, "iterations");
    bool halve;

    if (strcmp(get_text(options, "scales"), "auto") == 0) {
        count = old_auto_scales(longest, scale);
        if (count > 1)
            set_list(options, "scales", scale, count);
        else
            json_object_set_new(options, "scales", json_string("none"));
    }
    halve = strcmp(get_text(options, "scale-iterations"), "auto") == 0;
    if ((!halve && strcmp(get_text(options, "scale-iterations"), "none") != 0) ||
        count == 1)
        return;
    for (int i = 0; i < count && i < NST_LIST_MAX; i++)
        steps[i] = !halve ? first : first >> i > 0 ? first >> i : 1;
    set_list(options, "scale-iterations", steps, count);
}

json_t *nst_migrate_options(const json_t *run, const char **differs)
{
    json_t *options = json_deep_copy(json_object_get(run, "options"));
    const json_t *size = json_object_get(run, "size");
    int width = (int)json_integer_value(json_array_get(size, 0));
    int height = (int)json_integer_value(json_array_get(size, 1));
    const char *version = json_string_value(json_object_get(run, "version"));
    double weight = get_number(options, "style-weight");

    bool tutorial = strcmp(get_text(options, "compat"), "tutorial") == 0;

    *differs = tutorial ? "--compat tutorial no longer exists" : NULL;
    json_object_del(options, "compat");
    if (!options || !version || strcmp(version, OLD_VERSION) != 0)
        return options;
    if (!*differs && strcmp(get_text(options, "padding"), "zero") != 0)
        *differs =
            "nst " OLD_VERSION " padded the image, not the input of each convolution";
    expand_scales(options, width > height ? width : height);
    if (!tutorial && list_length(get_text(options, "scales")) > 1 &&
        atoi(get_text(options, "scales")) <= NST_PICTURE_SMALL_SIDE &&
        (width > NST_PICTURE_SMALL_SIDE || height > NST_PICTURE_SMALL_SIDE))
        *differs = "nst " OLD_VERSION
                   " made small scales from the image at the size of the result, "
                   "not from the original";
    if (weight > 0)
        json_object_set_new(options, "moment-weight",
                            json_real(get_number(options, "moment-weight") *
                                      OLD_STYLE_WEIGHT / weight));
    return options;
}
